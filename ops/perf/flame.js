const frames = [...document.querySelectorAll(".f")].map((group) => {
  const [title, rect, text] = group.children;
  const name = title.textContent.replace(/: [^:]*$/, "");
  return { group, rect, text, name, x: +rect.getAttribute("x"), y: +rect.getAttribute("y"), width: +rect.getAttribute("width") };
});
const whole = frames[0];
function zoom(on) {
  for (const frame of frames) {
    const above = frame.x >= on.x - 0.01 && frame.x + frame.width <= on.x + on.width + 0.01 && frame.y <= on.y;
    const under = frame.y > on.y && frame.x <= on.x + 0.01 && frame.x + frame.width >= on.x + on.width - 0.01;
    frame.group.style.display = above || under ? "" : "none";
    frame.group.style.opacity = under ? 0.45 : 1;
    const scale = whole.width / on.width;
    const x = under ? whole.x : whole.x + (frame.x - on.x) * scale;
    const width = under ? whole.width : frame.width * scale;
    const room = Math.floor((width - 6) / 6.6);
    frame.rect.setAttribute("x", x);
    frame.rect.setAttribute("width", width);
    frame.text.setAttribute("x", x + 3);
    frame.text.textContent = frame.name.length <= room ? frame.name : room >= 4 ? frame.name.slice(0, room - 1) + "…" : "";
  }
}
for (const frame of frames) frame.group.addEventListener("click", () => zoom(frame));
