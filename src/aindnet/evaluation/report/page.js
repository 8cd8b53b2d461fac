// Without this script the page still shows every picture; it only lets the handle move.
for (const box of document.querySelectorAll(".compare")) {
  const slider = box.querySelector("input");
  const move = () => box.style.setProperty("--at", slider.value + "%");
  slider.addEventListener("input", move);
  move();
}
