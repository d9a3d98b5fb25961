"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// A command is copied; where the browser refuses that, its text is selected.
for (const button of all(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    let said = "copied";
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      said = "selected";
    }
    button.textContent = said;
    setTimeout(() => { button.textContent = "copy"; }, 3000);
  });
}

// A link to what is folded opens it.
const unfold = (hash) => {
  const one = hash && document.getElementById(hash.slice(1));
  if (one instanceof HTMLDetailsElement) one.open = true;
};
for (const link of all("a[href^='#']")) link.addEventListener("click", () => unfold(link.hash));
unfold(location.hash);

// What is wider than its place says so.
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const hint = target.parentElement.querySelector(".hint") || target.closest(".grid")?.querySelector(".hint");
    if (hint) hint.hidden = target.scrollWidth <= target.clientWidth;
  }
});
for (const one of all(".scroll")) sizes.observe(one);

const toMiddle = (one, scroll) => {
  const { left, width } = one.getBoundingClientRect();
  scroll.scrollLeft += left + width / 2 - scroll.getBoundingClientRect().left - scroll.clientWidth / 2;
};

for (const timeline of all(".timeline")) {
  const boxes = all(".box", timeline);
  const show = (box) => {
    for (const one of boxes) {
      one.setAttribute("aria-pressed", one === box);
      one.tabIndex = one === box ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = one !== box;
    }
  };
  const middle = () => toMiddle(boxes.find((one) => one.tabIndex === 0), timeline.querySelector(".scroll"));
  timeline.closest("details").addEventListener("toggle", middle);
  middle();
  // Another lane's box that is nearest, above or below.
  const beside = (box, down) => boxes
    .filter((one) => (down ? one.offsetTop > box.offsetTop : one.offsetTop < box.offsetTop))
    .sort((a, b) => Math.abs(a.offsetTop - box.offsetTop) - Math.abs(b.offsetTop - box.offsetTop)
      || Math.abs(a.offsetLeft - box.offsetLeft) - Math.abs(b.offsetLeft - box.offsetLeft))[0];
  for (const [at, box] of boxes.entries()) {
    box.addEventListener("click", () => show(box));
    box.addEventListener("keydown", (event) => {
      const to = {
        ArrowLeft: () => boxes[at - 1],
        ArrowRight: () => boxes[at + 1],
        ArrowUp: () => beside(box, false),
        ArrowDown: () => beside(box, true),
        Home: () => boxes[0],
        End: () => boxes.at(-1),
      }[event.key]?.();
      if (!to) return;
      event.preventDefault();
      show(to);
      to.focus();
    });
  }
}

const which = document.getElementById("which");
if (which) {
  const grids = all(".grid");
  const told = document.getElementById("told");
  const row = told.querySelector(".command");
  row.hidden = true;
  // "after kubelet's step 3 (iptables -w 5 -S)"
  const after = (grid, number) => {
    const command = all("ol code", grid)[number - 1]?.textContent;
    return number === "0" ? "before kubelet's first step" : `after kubelet's step ${number}${command ? ` (${command})` : ""}`;
  };
  const said = (button) => {
    const grid = button.closest(".grid");
    const { row, column, modes } = button.dataset;
    return `${modes}: the script begins ${after(grid, row)}, is stopped ${grid.dataset.where}, and goes on ${after(grid, column)}.`;
  };
  const choose = (button) => {
    for (const one of all(".grid button")) one.setAttribute("aria-pressed", one === button);
    told.querySelector("p").textContent = said(button);
    row.querySelector("code").textContent = button.dataset.replay;
    row.hidden = false;
  };
  const show = () => {
    for (const grid of grids) {
      grid.hidden = grid.id !== which.value;
      const shortest = grid.querySelector("[data-shortest]");
      if (grid.hidden || !shortest) continue;
      choose(shortest);
      toMiddle(shortest, grid.querySelector(".scroll"));
    }
  };
  which.addEventListener("change", show);
  show();
  for (const grid of grids) {
    const buttons = all("button", grid);
    const first = grid.querySelector("[data-shortest]") || buttons[0];
    if (first) first.tabIndex = 0;
    const place = (button) => {
      const cell = button.parentElement;
      return [cell.parentElement.rowIndex, cell.cellIndex];
    };
    const name = (event) => {
      const button = event.target.closest("button");
      if (button && !button.title) button.title = said(button);
    };
    grid.addEventListener("mouseover", name);
    grid.addEventListener("focusin", name);
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
