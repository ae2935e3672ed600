// The confusion matrix shows counts or shares, and its cells choose pictures.

const matrix = document.querySelector("#confusion .matrix");

function show(what) {
  for (const cell of matrix.querySelectorAll("td[data-count]")) {
    const share = Number(what === "column" ? cell.dataset.column : cell.dataset.row);
    const count = Number(cell.dataset.count);
    cell.style.setProperty("--v", share);
    cell.classList.toggle("deep", share > 0.55);
    const text = what === "count" ? cell.dataset.text : `${(100 * share).toFixed(share && share < 0.095 ? 1 : 0)}%`;
    cell.querySelector("span").textContent = count ? text : "·";
  }
  for (const button of document.querySelectorAll("[data-show]")) {
    button.setAttribute("aria-pressed", String(button.dataset.show === what));
  }
}

if (matrix) {
  matrix.classList.toggle("many", matrix.tHead.rows[0].cells.length > 12);
  for (const cell of matrix.querySelectorAll("td[data-count]")) cell.dataset.text = cell.textContent.trim();
  for (const button of document.querySelectorAll("[data-show]")) {
    button.addEventListener("click", () => show(button.dataset.show));
  }
  matrix.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-actual]");
    if (button) showPair(button.dataset.actual, button.dataset.predicted);
  });
  // A cell stays marked as long as the filters are those it has set.
  document.addEventListener("filtered", () => {
    const { actual, predicted } = filters.elements;
    for (const button of matrix.querySelectorAll("button[data-actual]")) {
      const is = button.dataset.actual === actual?.value && button.dataset.predicted === predicted?.value;
      button.setAttribute("aria-pressed", String(is));
    }
  });
}

if (filters?.elements.actual) {
  for (const row of document.querySelectorAll("[data-table=confused] tbody tr")) {
    const pick = () => showPair(row.cells[0].textContent, row.cells[1].textContent);
    row.className = "pick";
    row.tabIndex = 0;
    row.addEventListener("click", pick);
    row.addEventListener("keydown", (event) => {
      if (event.key === "Enter") pick();
    });
  }
}
