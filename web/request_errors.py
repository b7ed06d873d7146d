"""Requests that never become an operation: each carries the HTTP status, the code and the headers of its answer."""

from collections.abc import Mapping

from domain.errors import ClientError


class RequestError(ClientError):
    """The request was refused before execution; `extensions` stands beside the code in the answer."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})

    def again(self) -> "RequestError":
        """The same refusal for another request: an exception that is raised twice keeps the frames of the first."""
        return RequestError(self.code, self.message, self.status, headers=self.headers, extensions=self.extensions)


def bad_request(message: str) -> RequestError:
    """The parameters of the request are not what GraphQL over HTTP asks for."""
    return RequestError("BAD_REQUEST", message)
