// The stage: the markup comes ready and escaped from Python; this draws the streams between its
// columns, lets what moved slide to its new place, and says what was pressed.

const SLIDE = { duration: 450, easing: "cubic-bezier(.2, .7, .2, 1)" };
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector(".stage-root");
  if (!root) {
    root = document.createElement("div");
    root.className = "stage-root";
    parentElement.appendChild(root);
    listen(root);
  }
  root.act = (what) => setTriggerValue("act", what);
  if (root.drawn === data.html) return;
  const before = places(root);
  const counts = numbers(root);
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  root.innerHTML = data.html;
  root.drawn = data.html;
  if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  if (before.size && !calm()) slide(root, before);
  count(root, counts);
  dismissStandIn();
  root.watcher?.disconnect();
  root.watcher = new ResizeObserver(() => streams(root));
  root.watcher.observe(root.firstElementChild);
  streams(root);
}

// The text that stood here until now: it goes as the stage comes, so that nothing moves. Its frame is
// the page's own and is only hidden.
function dismissStandIn() {
  const first = document.querySelector(".stage-first-root");
  first?.replaceChildren();
  first?.closest('[data-testid="stElementContainer"]')?.style.setProperty("display", "none");
}

function listen(root) {
  root.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-act]");
    if (!pressed || pressed.matches("input") || pressed.disabled) return;
    pressed.setAttribute("aria-busy", "true");
    const act = JSON.parse(pressed.dataset.act);
    root.act(act);
    if (act.do === "why") reveal(".st-key-closer");
  });
  root.addEventListener("change", (event) => {
    const fader = event.target.closest("input[data-act]");
    if (fader) root.act({ ...JSON.parse(fader.dataset.act), to: Number(fader.value) });
  });
  root.addEventListener("input", (event) => {
    const fader = event.target.closest("input.fader");
    if (fader) fader.style.setProperty("--at", `${100 * fader.value}%`);
  });
  const light = (event) => {
    const head = event.target.closest?.("[data-head]")?.dataset.head ?? "";
    const row = event.target.closest?.("[data-row]")?.dataset.row ?? "";
    for (const path of root.querySelectorAll("svg.flow path")) {
      const lit = (head && path.dataset.of === head) || (row && path.dataset.row === row);
      path.classList.toggle("lit", Boolean(lit));
      path.classList.toggle("dim", Boolean((head || row) && !lit));
    }
  };
  root.addEventListener("pointerover", light);
  root.addEventListener("pointerleave", light);
}

// What a press opens stands below the stage, often below the window's edge too.
function reveal(selector) {
  const behavior = calm() ? "auto" : "smooth";
  document.querySelector(selector)?.scrollIntoView({ behavior, block: "start" });
}

function places(root) {
  const found = new Map();
  for (const element of root.querySelectorAll("[data-slide]"))
    found.set(element.dataset.slide, element.getBoundingClientRect().top);
  return found;
}

function slide(root, before) {
  for (const element of root.querySelectorAll("[data-slide]")) {
    const from = before.get(element.dataset.slide);
    if (from === undefined)
      element.animate([{ opacity: 0, transform: "translateX(1.5rem)" }, {}], SLIDE);
    else {
      const by = from - element.getBoundingClientRect().top;
      if (by) element.animate([{ transform: `translateY(${by}px)` }, {}], SLIDE);
    }
  }
}

const numbers = (root) =>
  new Map([...root.querySelectorAll("[data-count]")].map((e) => [e.dataset.key, e.dataset.count]));

function count(root, before) {
  for (const element of root.querySelectorAll("[data-count]")) {
    const from = Number(before.get(element.dataset.key));
    const to = Number(element.dataset.count);
    if (!Number.isFinite(from) || from === to || calm()) continue;
    const told = element.textContent;
    const start = performance.now();
    const step = (now) => {
      const part = Math.min(1, (now - start) / SLIDE.duration);
      const rank = Math.round(Math.exp(Math.log(from) + (Math.log(to) - Math.log(from)) * part));
      element.textContent = part < 1 ? rank.toLocaleString("en") : told;
      if (part < 1 && element.isConnected) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}

// Streams: from the clicks to each head, as wide as its share of the gate and parted among its
// experts; from each head to the rows of the list, as wide as what it puts into their scores.
function streams(root) {
  const stage = root.firstElementChild;
  const flow = stage.querySelector("svg.flow");
  if (!flow) return;
  const frame = stage.getBoundingClientRect();
  const box = (element) => {
    const own = element.getBoundingClientRect();
    return {
      left: own.left - frame.left,
      right: own.right - frame.left,
      top: own.top - frame.top,
      height: own.height,
    };
  };
  flow.replaceChildren();
  flow.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  const heads = [...stage.querySelectorAll(".heads > [data-head]")];
  const rows = [...stage.querySelectorAll(".fused [data-row]")];
  const clicks = stage.querySelector(".clicks ol");
  if (!heads.length || getComputedStyle(flow).display === "none") return;
  const source = box(clicks);
  const boxes = heads.map(box);
  const parts = heads.map((head) => JSON.parse(head.dataset.parts));
  const wide = Math.min(
    source.height * 0.9,
    ...boxes.map((own, h) => (own.height * 0.8) / Math.max(...[sum(parts[h])], 1e-9)),
  );
  const begin = gathered(flow, source);
  let from = source.top + (source.height - wide) / 2;
  heads.forEach((head, h) => {
    let to = boxes[h].top + (boxes[h].height - wide * sum(parts[h])) / 2;
    parts[h].forEach((part, expert) => {
      ribbon(flow, head, begin, from, boxes[h].left, to, part * wide, {
        opacity: 0.62 - (0.4 * expert) / Math.max(1, parts[h].length - 1),
      });
      from += part * wide;
      to += part * wide;
    });
  });
  const shares = rows.map((row) => JSON.parse(row.dataset.shares).map((x) => Math.max(0, x)));
  const sinks = rows.map(box);
  const scale = Math.min(
    ...sinks.map((own, r) => (own.height * 0.8) / Math.max(sum(shares[r]), 1e-9)),
    ...boxes.map(
      (own, h) => (own.height * 0.8) / Math.max(sum(shares.map((row) => row[h])), 1e-9),
    ),
  );
  const reach = sinks.map((own, r) => own.top + (own.height - scale * sum(shares[r])) / 2);
  heads.forEach((head, h) => {
    let leave = boxes[h].top + (boxes[h].height - scale * sum(shares.map((row) => row[h]))) / 2;
    rows.forEach((row, r) => {
      const thick = shares[r][h] * scale;
      ribbon(flow, head, boxes[h].right, leave, sinks[r].left, reach[r], thick, {
        opacity: 0.38,
        row: row.dataset.row,
      });
      leave += thick;
      reach[r] += thick;
    });
  });
}

// A bar beside all clicks, so that no stream seems to come from the click that it starts beside.
function gathered(flow, { right, top, height }) {
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ x: right + 3, y: top, width: 4, height, rx: 2 }))
    bar.setAttribute(name, value);
  flow.appendChild(bar);
  return right + 7;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

function ribbon(flow, head, x0, y0, x1, y1, thick, { opacity, row = "" }) {
  if (thick < 0.05 || x1 <= x0) return;
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const bend = (x0 + x1) / 2;
  path.setAttribute(
    "d",
    `M${x0} ${y0} C${bend} ${y0} ${bend} ${y1} ${x1} ${y1} L${x1} ${y1 + thick} ` +
      `C${bend} ${y1 + thick} ${bend} ${y0 + thick} ${x0} ${y0 + thick} Z`,
  );
  path.style.setProperty("--colour", head.style.getPropertyValue("--colour"));
  path.style.setProperty("--opacity", opacity);
  path.dataset.of = head.dataset.head;
  path.dataset.row = row;
  flow.appendChild(path);
}
