// Pictures are filtered and sorted, and shown large one after another.

const filters = document.getElementById("filters");
const grid = document.getElementById("grid");

function fits(card) {
  const { actual, predicted, wrong, path } = filters.elements;
  const { dataset } = card;
  return (
    (!actual?.value || dataset.actual === actual.value) &&
    (!predicted?.value || dataset.predicted === predicted.value) &&
    (!wrong?.checked || dataset.right === "no") &&
    (!path.value || dataset.path.toLowerCase().includes(path.value.trim().toLowerCase()))
  );
}

const orders = {
  loss: (a, b) => Number(b.dataset.loss) - Number(a.dataset.loss),
  probability: (a, b) => Number(a.dataset.probability) - Number(b.dataset.probability),
  path: (a, b) => a.dataset.path.localeCompare(b.dataset.path, undefined, { numeric: true }),
};

function filter() {
  const cards = [...grid.children].sort(orders[filters.elements.sort.value]);
  let shown = 0;
  for (const card of cards) {
    card.hidden = !fits(card);
    shown += card.hidden ? 0 : 1;
  }
  grid.append(...cards);
  filters.elements.shown.value = `${shown} of ${cards.length}`;
  document.getElementById("nothing").hidden = shown > 0;
  const heat = filters.elements.heat?.value;
  grid.classList.toggle("heat-on", heat === "on");
  grid.classList.toggle("heat-off", heat === "off");
  document.dispatchEvent(new CustomEvent("filtered"));
}

if (filters) {
  filters.addEventListener("input", filter);
  filters.addEventListener("change", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(filter));
}

// Show the pictures of one pair of classes, from the confusion matrix or the table of confusions.
function showPair(actual, predicted) {
  if (!filters?.elements.actual) return;
  filters.elements.actual.value = actual;
  filters.elements.predicted.value = predicted;
  filters.elements.wrong.checked = false;
  filter();
  document.getElementById("pictures").scrollIntoView();
}

const viewer = document.getElementById("viewer");
const [shot, heat] = viewer.querySelectorAll(".stage img");
const heatButton = viewer.querySelector("[data-heat]");
let current = null;

function copyOf(card, part, image) {
  const source = card.querySelector(`img.${part}`);
  image.hidden = !source;
  if (source) image.src = source.src;
  else image.removeAttribute("src");
  return Boolean(source);
}

function enlarge(card) {
  current = card;
  copyOf(card, "shot", shot);
  heatButton.hidden = !copyOf(card, "heat", heat);
  heat.hidden ||= heatButton.getAttribute("aria-pressed") === "false";
  viewer.querySelector(".told").replaceChildren(...card.querySelector("figcaption").cloneNode(true).children);
  if (!viewer.open) viewer.showModal();
}

function move(step) {
  const others = [...current.parentElement.children].filter((card) => !card.hidden);
  const next = others[(others.indexOf(current) + step + others.length) % others.length];
  if (next) enlarge(next);
}

document.addEventListener("click", (event) => {
  const open = event.target.closest(".card .open");
  if (open) enlarge(open.closest(".card"));
});
viewer.addEventListener("click", (event) => {
  if (event.target === viewer) viewer.close();
  const step = event.target.dataset.move;
  if (step) move(Number(step));
});
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") move(1);
  if (event.key === "ArrowLeft") move(-1);
});
heatButton.addEventListener("click", () => {
  const isOn = heatButton.getAttribute("aria-pressed") === "false";
  heatButton.setAttribute("aria-pressed", String(isOn));
  heat.hidden = !isOn;
});
