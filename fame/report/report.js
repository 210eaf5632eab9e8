"use strict";
// What is alive in a report: the tip at the mouse, the same item in every list, the list after
// every click, the panels, the matrix of another item, the theme and the download. Text from the
// data goes into the page as text only.
const data = JSON.parse(document.getElementById("report-data").textContent);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const title = (id) => data.titles[id];

// --- the tip -------------------------------------------------------------------------------
const tip = byId("tip");
document.addEventListener("mousemove", (event) => {
  const marked = event.target.closest("[data-tip]");
  tip.hidden = !marked;
  if (!marked) return;
  tip.textContent = marked.dataset.tip;
  const beside = event.clientX + 16 + tip.offsetWidth > innerWidth ? -tip.offsetWidth - 12 : 16;
  const above = event.clientY + 18 + tip.offsetHeight > innerHeight ? -tip.offsetHeight - 12 : 18;
  tip.style.left = `${Math.max(4, event.clientX + beside)}px`;
  tip.style.top = `${Math.max(4, event.clientY + above)}px`;
});
document.addEventListener("mouseleave", () => { tip.hidden = true; });

// --- the same item everywhere --------------------------------------------------------------
let shownItem = null;
document.addEventListener("mouseover", (event) => {
  const item = event.target.closest("[data-item]")?.dataset.item ?? null;
  if (item === shownItem) return;
  shownItem = item;
  for (const other of all(".same")) other.classList.remove("same");
  if (item === null) return;
  for (const other of all("[data-item]")) {
    other.classList.toggle("same", other.dataset.item === item);
  }
});

// --- the list after every click ------------------------------------------------------------
const slider = byId("step");
const stacks = all(".stacks [data-step]");

function entry(rank, id, mark, isNew) {
  const line = document.createElement("li");
  line.dataset.item = id;
  line.dataset.tip = mark ? `${title(id)}\nclicked next` : title(id);
  const place = Object.assign(document.createElement("span"), { className: "rank", textContent: rank });
  const name = Object.assign(document.createElement("span"), {
    className: "title", textContent: `${mark}${title(id)}`,
  });
  line.append(place, name);
  if (isNew) {
    line.append(Object.assign(document.createElement("span"), { className: "tag", textContent: "new" }));
  }
  if (mark) line.className = "target";
  return line;
}

function showStep(index) {
  const step = data.steps[index];
  const history = data.trace.history;
  const isLast = step.click === history.length - 1;
  const next = isLast ? data.trace.held_out?.item : history[step.click + 1];
  const mark = isLast ? "◎ " : "● ";
  const before = index > 0 ? new Set(data.steps[index - 1].list) : null;
  byId("step-when").textContent = `After click ${step.click + 1}: ${title(history[step.click])}`;
  byId("step-list").replaceChildren(...step.list.map(
    (id, place) => entry(place + 1, id, id === next ? mark : "", before !== null && !before.has(id)),
  ));
  stacks.forEach((stack, place) => stack.classList.toggle("now", place === index));
  slider.value = index;
}
slider.addEventListener("input", () => showStep(Number(slider.value)));
for (const stack of stacks) {
  for (const kind of ["mouseenter", "click"]) {
    stack.addEventListener(kind, () => showStep(Number(stack.dataset.step)));
  }
}
showStep(data.steps.length - 1);

// --- panels --------------------------------------------------------------------------------
for (const group of all("[data-group]")) {
  const buttons = all("[data-show]", group);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) {
        other.setAttribute("aria-pressed", String(other === button));
        const panel = byId(other.dataset.show);
        if (panel) panel.hidden = other !== button;
      }
    });
  }
}

// --- the influence matrix ------------------------------------------------------------------
const table = byId("influence-table");
const points = (value) => {
  const size = Math.abs(value).toFixed(2);
  return size === "0.00" ? size : `${value < 0 ? "−" : "+"}${size}`;
};

function showInfluence(column) {
  const rows = data.influence.effects.map((effects) => {
    const heads = effects[column];
    return [heads.reduce((sum, value) => sum + value, 0), ...heads];
  });
  const reach = Math.max(...rows.map((row) => Math.abs(row[0]))) || 1;
  for (const cell of all("td[data-effect]", table)) {
    const value = rows[cell.parentElement.dataset.row][cell.dataset.effect];
    cell.textContent = points(value);
    cell.classList.toggle("for", value > 0);
    cell.classList.toggle("against", value <= 0);
    cell.style.setProperty("--tint", `${Math.round(70 * Math.min(Math.abs(value) / reach, 1))}%`);
  }
}
if (table) {
  byId("influence-of").addEventListener("change", (event) => showInfluence(Number(event.target.value)));
  table.classList.add("folded");
  for (const more of all('[data-more="influence"]')) {
    more.addEventListener("click", () => { table.classList.remove("folded"); more.remove(); });
  }
}

// --- the history's end, the theme, the download ----------------------------------------------
for (const strip of all(".strip")) strip.scrollLeft = strip.scrollWidth;

byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
});

byId("download").addEventListener("click", () => {
  const blob = new Blob([JSON.stringify(data, null, 2)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `fame-lens-${data.checkpoint.name}-${data.person ?? "history"}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
});
