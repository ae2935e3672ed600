"use strict";
// Tables sort by their headings; rows of curves light their lines; the section that is read is marked.

function valueOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
}

function sortBy(heading) {
  const table = heading.closest("table");
  const column = heading.cellIndex;
  const isNumber = heading.dataset.sort === "number";
  const before = heading.getAttribute("aria-sort");
  const direction = before ? (before === "ascending" ? "descending" : "ascending") : isNumber ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const compare = isNumber
    ? (a, b) => (Number.parseFloat(valueOf(a, column)) || 0) - (Number.parseFloat(valueOf(b, column)) || 0)
    : (a, b) => valueOf(a, column).localeCompare(valueOf(b, column), undefined, { numeric: true });
  const rows = [...table.tBodies[0].rows].sort((a, b) => sign * compare(a, b));
  table.tBodies[0].append(...rows);
}

for (const heading of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "sort";
  button.textContent = heading.textContent;
  button.addEventListener("click", () => sortBy(heading));
  heading.replaceChildren(button);
}

function light(name) {
  for (const chart of document.querySelectorAll("#plots .chart")) {
    let found = false;
    for (const curve of chart.querySelectorAll(".curve")) {
      const is = curve.dataset.curve === name;
      curve.classList.toggle("lit", is);
      found ||= is;
    }
    chart.classList.toggle("dim", found);
  }
}

for (const row of document.querySelectorAll("tr[data-curve]")) {
  row.tabIndex = 0;
  row.addEventListener("mouseenter", () => light(row.dataset.curve));
  row.addEventListener("mouseleave", () => light(null));
  row.addEventListener("focus", () => light(row.dataset.curve));
  row.addEventListener("blur", () => light(null));
}

const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links.values()) link.classList.remove("here");
    links.get(entry.target.id)?.classList.add("here");
  }
}, { rootMargin: "-10% 0px -80% 0px" });
for (const id of links.keys()) {
  const section = document.getElementById(id);
  if (section) seen.observe(section);
}
