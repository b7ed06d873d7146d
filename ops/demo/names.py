"""Invented people: given and family names from many countries, combined by draw."""

import unicodedata
from typing import Final

from ops.demo.draws import Draws

_GIVEN: Final = (
    "Aarav Adaeze Aiko Alejandra Amara Amina Anders Anika Anouk Antonio Arjun Astrid Ayşe Beatriz Bilal Bogdan "
    "Camila Carlos Catalina Chidi Chiara Chloé Dalia Daniela David Deepa Diego Dilan Dmitri Elena Elif Emeka Emma "
    "Esra Esteban Fatima Felipe Finn Freya Gabriel Giulia Grace Hana Hannah Haruto Hassan Helena Hugo Ibrahim Ines "
    "Ingrid Isabel Ivana Jaya Jelena João Jonas Joseph Julia Kaito Karim Kavya Khadija Kofi Kwame Lan Lars Layla "
    "Leila Lena Li Linh Lucas Lucía Magnus Mai Malik Manuel Mariam Marta Mateo Mei Milan Mina Mohamed Nadia Naomi "
    "Nikhil Nina Noah Noor Olga Oliver Olumide Omar Paolo Paula Petra Pilar Priya Quentin Rahul Ravi Rania Renata "
    "Rosa Ruth Salma Samuel Sana Sanjay Santiago Sara Selin Siti Sofia Sven Tariq Tatiana Thabo Thiago Tomas Tuan "
    "Uma Valentina Vera Vikram Wei Ximena Yara Yasmin Yuki Yusuf Zainab Zara Zoe"
)
_FAMILY: Final = (
    "Abdullah Abebe Acosta Adeyemi Ahmed Almeida Andersen Aoki Aydın Bakker Banerjee Barbosa Becker Bello Bianchi "
    "Boateng Carvalho Castillo Chatterjee Chen Cohen Costa Cruz Dahl Das Delgado Demir Desai Diallo Dubois Eriksen "
    "Fernandes Ferrari Fischer Fofanah Fuentes Fujita García Ghosh Gomes González Gupta Haddad Hansen Hassan Hayashi "
    "Hernández Hoang Horvat Hughes Hussein Ito Iyer Jansen Jensen Johansson Kamau Kapoor Kato Kaya Keita Khan Kim "
    "Kimura Klein Kovács Krishnan Kumar Larsen Laurent Le Lim Lindqvist López Mahmoud Malhotra Mansour Marino Martins "
    "Mbeki Mehta Mendes Meyer Moreau Morgan Moyo Müller Murphy Mwangi Nair Nakamura Nasser Ndiaye Nguyen Novak Nowak "
    "Okafor Okoye Oliveira Osei Owusu Öztürk Patel Pereira Petrov Pham Pinto Popescu Rahman Ramos Rao Reyes Ricci "
    "Rivera Romano Rossi Sahin Saito Salazar Santos Sato Schmidt Sharma Silva Singh Sokolov Suzuki Takahashi Tan "
    "Tanaka Teixeira Torres Tran Usman Vargas Vega Verma Vogel Wagner Wang Weber Wong Yamada Yilmaz Zhang Zhou"
)
GIVEN: Final = _GIVEN.split()
FAMILY: Final = _FAMILY.split()


def full_name(draws: Draws) -> str:
    """A given and a family name."""
    return f"{draws.pick(GIVEN)} {draws.pick(FAMILY)}"


def email_of(name: str, number: int) -> str:
    """An address in plain letters, made unique by the employee's number."""
    plain = unicodedata.normalize("NFKD", name.replace("ı", "i")).encode("ascii", "ignore").decode()
    return f"{plain.lower().replace(' ', '.')}.{number}@rollcall.test"
