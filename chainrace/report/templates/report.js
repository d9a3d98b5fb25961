"use strict";
const which = document.getElementById("which");
if (which) {
  const grids = [...document.querySelectorAll(".grid")];
  const told = document.getElementById("told");
  const show = () => {
    for (const grid of grids) grid.hidden = grid.id !== which.value;
  };
  const choose = (button) => {
    for (const one of document.querySelectorAll(".grid button")) one.setAttribute("aria-pressed", one === button);
    told.textContent = "";
    const code = document.createElement("code");
    code.textContent = button.dataset.replay;
    told.append(`${button.dataset.classes}. Replay it: `, code);
  };
  // Begin where most different things come out.
  const kinds = (grid) => new Set([...grid.querySelectorAll("button")].map((one) => one.dataset.classes)).size;
  which.value = grids.reduce((best, one) => (kinds(one) > kinds(best) ? one : best)).id;
  which.addEventListener("change", show);
  show();
  for (const grid of grids) {
    const buttons = [...grid.querySelectorAll("button")];
    if (buttons[0]) buttons[0].tabIndex = 0;
    const place = (button) => {
      const cell = button.parentElement;
      return [cell.parentElement.rowIndex, cell.cellIndex];
    };
    grid.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(button);
    });
    grid.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const from = event.target.closest("button");
      if (!step || !from) return;
      const [row, column] = place(from);
      const to = buttons.find((one) => {
        const [r, c] = place(one);
        return r === row + step[0] && c === column + step[1];
      });
      if (!to) return;
      event.preventDefault();
      from.tabIndex = -1;
      to.tabIndex = 0;
      to.focus();
    });
  }
}
