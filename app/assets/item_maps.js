// One or two maps of the same items. Drawn on canvases, so that thousands of points follow the
// pointer; what is chosen lives here and is told to the page when it changes.
//
// data: { items: [index], hover: [[title, facts]], colour: [place in colours], colours: [hex],
//   ring: place in colours that is drawn hollow or -1, legend: [{ label, colour, ring, mark }],
//   scale: null or { title, low, high, colours }, marks: { kind: { shape, size, fill, line } },
//   maps: [{ key, name, colour, why, alt, x: [], y: [], labels: [{ x, y, text }],
//   marks: [[place, kind]] }] }

const NEAR = 12; // pixels from the pointer to a point that it means
const MOST_LINES = 200;

const SHAPES = {
  circle: (c, r) => c.arc(0, 0, r, 0, 7),
  square: (c, r) => c.rect(-r, -r, 2 * r, 2 * r),
  diamond: (c, r) => polygon(c, 4, r * 1.25, 0),
  triangle: (c, r) => polygon(c, 3, r * 1.25, 0),
  star: (c, r) => {
    for (let k = 0; k < 10; k++) {
      const [a, length] = [(k * Math.PI) / 5 - Math.PI / 2, k % 2 ? r * 0.45 : r * 1.2];
      c[k ? "lineTo" : "moveTo"](length * Math.cos(a), length * Math.sin(a));
    }
    c.closePath();
  },
};

function polygon(c, corners, r, turn) {
  for (let k = 0; k < corners; k++) {
    const a = (k * 2 * Math.PI) / corners - Math.PI / 2 + turn;
    c[k ? "lineTo" : "moveTo"](r * Math.cos(a), r * Math.sin(a));
  }
  c.closePath();
}

function shaped(c, mark, x, y) {
  c.save();
  c.translate(x, y);
  c.beginPath();
  SHAPES[mark.shape](c, mark.size);
  if (mark.fill) {
    c.fillStyle = mark.fill;
    c.fill();
  }
  c.strokeStyle = mark.line;
  c.lineWidth = mark.fill ? 1.5 : 2.5;
  c.stroke();
  c.restore();
}

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function inside(x, y, loop) {
  let is = false;
  for (let i = 0, j = loop.length - 1; i < loop.length; j = i++) {
    const [[xi, yi], [xj, yj]] = [loop[i], loop[j]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) is = !is;
  }
  return is;
}

class Atlas {
  constructor(parent) {
    this.views = new Map(); // by the map's place: how far it is zoomed and moved
    this.chosen = new Set();
    this.hovered = -1;
    this.drawing = false;
    this.joined = false;
    this.root = make("div", { class: "atlas" });
    parent.append(this.root);
    this.bar = make("div", { class: "bar", role: "group", "aria-label": "Maps" });
    this.maps = make("div", { class: "maps" });
    this.legend = make("ul", { class: "legend", "aria-label": "What the colours mean" });
    this.tip = make("div", { class: "tip", hidden: "" });
    this.root.append(this.bar, this.maps, this.legend, this.tip);
    const button = (label, title, act) => {
      const made = make("button", { type: "button", title }, label);
      made.onclick = act;
      this.bar.append(made);
      return made;
    };
    this.around = button("Draw around points", "Or hold Shift while you drag", () => {
      this.drawing = !this.drawing;
      this.pressed();
    });
    this.join = button("Join by lines", "Joins each chosen item's points in both maps", () => {
      this.joined = !this.joined;
      this.pressed();
      this.draw();
    });
    this.clear = button("Choose none", "Lets go of the chosen points", () => this.choose([]));
    button("Whole map", "Undoes zoom and moves", () => {
      this.views.clear();
      this.draw();
    });
    button("Full screen", "As large as the screen; Escape leaves it", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.root.requestFullscreen();
    });
    button("Picture", "Saves the maps as PNG", () => this.save());
    this.said = make("span", { class: "said", role: "status" });
    this.bar.append(this.said);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.maps);
    this.watch.observe(this.root);
  }

  show(data, tell) {
    const first = !this.data;
    this.data = data;
    this.tell = tell;
    this.place = new Map(data.items.map((item, place) => [item, place]));
    if (first) this.chosen = new Set(data.chosen.map((item) => this.place.get(item)));
    this.chosen = new Set([...this.chosen].filter((place) => place < data.items.length));
    // Grey lies below: what is drawn last is seen.
    this.order = data.items.map((_, place) => place);
    this.order.sort((a, b) => data.colour[b] - data.colour[a]);
    this.sprites = new Map();
    this.frame();
    this.explain();
    this.pressed();
    this.draw();
  }

  frame() {
    const wanted = this.data.maps.length;
    if (this.canvases?.length !== wanted) {
      this.maps.replaceChildren();
      this.views.clear();
      this.canvases = this.data.maps.map((_, number) => {
        const canvas = make("canvas", { class: "map", role: "img" });
        this.maps.append(make("figure", {}, canvas, make("figcaption")));
        this.listen(canvas, number);
        return canvas;
      });
      this.lines = make("canvas", { class: "lines", "aria-hidden": "true" });
      this.maps.append(this.lines);
    }
    this.data.maps.forEach((map, number) => {
      const chip = make("i");
      chip.style.background = map.colour;
      const caption = this.canvases[number].nextSibling;
      caption.replaceChildren(chip, map.name);
      caption.title = map.why;
      this.canvases[number].setAttribute("aria-label", map.alt);
      if (map.key !== this.views.get(number)?.key) this.views.delete(number);
    });
  }

  explain() {
    const entries = this.data.legend.map(({ label, colour, ring, mark }) => {
      if (mark) {
        const canvas = make("canvas", { width: 36, height: 36, "aria-hidden": "true" });
        canvas.style.width = canvas.style.height = "18px";
        const c = canvas.getContext("2d");
        c.scale(2, 2);
        shaped(c, { ...mark, size: Math.min(mark.size, 6) }, 9, 9);
        return make("li", {}, canvas, label);
      }
      const dot = make("i", ring ? { class: "ring" } : {});
      dot.style[ring ? "borderColor" : "background"] = colour;
      return make("li", {}, dot, label);
    });
    // Marks are explained on the map itself: what is below the maps may be out of sight.
    const marks = entries.filter((_, place) => this.data.legend[place].mark);
    const colours = entries.filter((_, place) => !this.data.legend[place].mark);
    const scale = this.data.scale;
    if (scale) {
      const band = make("div");
      band.style.background = `linear-gradient(90deg, ${scale.colours.join(",")})`;
      const ends = make("span", {}, make("b", {}, scale.low), scale.title, make("b", {}, scale.high));
      colours.unshift(make("li", { class: "scale" }, band, ends));
    }
    this.legend.replaceChildren(...colours);
    this.marks?.remove();
    this.marks = make("ul", { class: "legend marks", "aria-label": "What the marks mean" }, ...marks);
    if (marks.length) this.canvases[0].parentNode.append(this.marks);
  }

  pressed() {
    const several = this.data.maps.length > 1;
    this.around.setAttribute("aria-pressed", this.drawing);
    this.join.setAttribute("aria-pressed", this.joined && several);
    this.join.disabled = !several;
    this.clear.disabled = !this.chosen.size;
    const number = this.chosen.size;
    this.said.textContent = number
      ? `${number.toLocaleString("en")} ${number === 1 ? "item" : "items"} chosen`
      : "Click a point to look it up; wheel zooms, dragging moves";
    for (const { style } of this.canvases) {
      style.cursor = this.drawing ? "crosshair" : "grab";
      style.touchAction = this.drawing ? "none" : "pan-y"; // a finger still scrolls the page
    }
  }

  choose(places) {
    this.chosen = new Set(places);
    this.pressed();
    this.draw();
    this.tell.setStateValue("chosen", [...this.chosen].map((place) => this.data.items[place]));
  }

  // --- where a point lies --------------------------------------------------------------------

  fit(number) {
    const map = this.data.maps[number];
    const canvas = this.canvases[number];
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!map.bounds) {
      const ends = (all) => all.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [1e9, -1e9]);
      map.bounds = [ends(map.x), ends(map.y)];
    }
    const [[x0, x1], [y0, y1]] = map.bounds;
    const top = 34;
    const room = Math.min((width - 28) / (x1 - x0 || 1), (height - top - 14) / (y1 - y0 || 1));
    const view = this.views.get(number) ?? { zoom: 1, x: 0, y: 0, key: map.key };
    const scale = room * view.zoom;
    return {
      scale,
      x: width / 2 + view.x - (scale * (x0 + x1)) / 2,
      y: (height + top) / 2 + view.y + (scale * (y0 + y1)) / 2,
    };
  }

  at(number, place, fit = this.fit(number)) {
    const map = this.data.maps[number];
    return [fit.x + fit.scale * map.x[place], fit.y - fit.scale * map.y[place]];
  }

  nearest(number, x, y) {
    const fit = this.fit(number);
    let [best, least] = [-1, NEAR * NEAR];
    for (let place = 0; place < this.data.items.length; place++) {
      const [px, py] = this.at(number, place, fit);
      const far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least) [best, least] = [place, far];
    }
    return best;
  }

  // --- what the pointer does -----------------------------------------------------------------

  listen(canvas, number) {
    let start = null;
    const where = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.onpointerdown = (event) => {
      const [x, y] = where(event);
      start = { x, y, moved: false, loop: this.drawing || event.shiftKey ? [[x, y]] : null };
      canvas.setPointerCapture(event.pointerId);
    };
    canvas.onpointermove = (event) => {
      const [x, y] = where(event);
      if (!start) return this.hover(number, this.nearest(number, x, y), x, y);
      if (Math.hypot(x - start.x, y - start.y) > 4) start.moved = true;
      if (!start.moved) return;
      this.hover(number, -1);
      if (start.loop) {
        start.loop.push([x, y]);
        this.loop = { number, points: start.loop };
      } else {
        this.move(number, (view) => ({ ...view, x: view.x + x - (start.px ?? start.x), y: view.y + y - (start.py ?? start.y) }));
        [start.px, start.py] = [x, y];
      }
      this.draw();
    };
    canvas.onpointerup = (event) => {
      const [x, y] = where(event);
      const was = start;
      start = null;
      this.loop = null;
      if (!was) return;
      if (was.loop && was.moved) {
        const fit = this.fit(number);
        const all = this.data.items.map((_, place) => place);
        this.choose(all.filter((place) => inside(...this.at(number, place, fit), was.loop)));
        this.drawing = false;
        this.pressed();
      } else if (!was.moved) {
        const place = this.nearest(number, x, y);
        if (place >= 0) this.tell.setTriggerValue("looked", this.data.items[place]);
      }
    };
    canvas.onpointercancel = () => {
      start = this.loop = null;
    };
    canvas.onpointerleave = () => this.hover(number, -1);
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const [x, y] = where(event);
        const by = Math.exp(-event.deltaY / 400);
        const [cx, cy] = [x - canvas.clientWidth / 2, y - (canvas.clientHeight + 34) / 2];
        this.move(number, (view) => {
          const zoom = Math.min(60, Math.max(1, view.zoom * by));
          const real = zoom / view.zoom;
          if (zoom === 1) return { ...view, zoom, x: 0, y: 0 };
          return { ...view, zoom, x: cx - (cx - view.x) * real, y: cy - (cy - view.y) * real };
        });
        this.draw();
      },
      { passive: false },
    );
  }

  move(number, change) {
    const key = this.data.maps[number].key;
    this.views.set(number, change(this.views.get(number) ?? { zoom: 1, x: 0, y: 0, key }));
  }

  hover(number, place, x, y) {
    if (place !== this.hovered) {
      this.hovered = place;
      this.draw();
    }
    this.tip.hidden = place < 0;
    if (place < 0) return;
    const [title, facts] = this.data.hover[place];
    this.tip.replaceChildren(make("b", {}, title), facts);
    const [root, box] = [this.root.getBoundingClientRect(), this.canvases[number].getBoundingClientRect()];
    const left = box.left - root.left + x + 14;
    const turned = left + this.tip.offsetWidth > root.width ? left - this.tip.offsetWidth - 28 : left;
    this.tip.style.left = `${Math.max(0, turned)}px`;
    this.tip.style.top = `${box.top - root.top + y + 12}px`;
  }

  // --- drawing -------------------------------------------------------------------------------

  draw() {
    if (this.waiting || !this.data) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.canvases.forEach((_, number) => this.drawMap(number));
      this.drawLines();
    });
  }

  context(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    return c;
  }

  sprite(colour, radius, ring) {
    const name = `${colour} ${radius} ${ring}`;
    if (!this.sprites.has(name)) {
      const made = make("canvas");
      made.width = made.height = Math.ceil(4 * radius + 4);
      const c = made.getContext("2d");
      c.scale(2, 2);
      c.translate(radius + 1, radius + 1);
      c.beginPath();
      c.arc(0, 0, ring ? radius - 0.5 : radius, 0, 7);
      c.fillStyle = c.strokeStyle = colour;
      if (ring) c.stroke();
      else c.fill();
      this.sprites.set(name, made);
    }
    return this.sprites.get(name);
  }

  drawMap(number) {
    const canvas = this.canvases[number];
    const { data } = this;
    const map = data.maps[number];
    const c = this.context(canvas);
    const fit = this.fit(number);
    const style = getComputedStyle(this.root);
    const [text, page] = [style.color, style.backgroundColor];
    const view = this.views.get(number)?.zoom ?? 1;
    const radius = (data.items.length > 5000 ? 1.9 : 3) * Math.min(2.2, view ** 0.35);
    const dot = (place) => {
      const [x, y] = this.at(number, place, fit);
      const colour = data.colour[place];
      const image = this.sprite(data.colours[colour], radius, colour === data.ring);
      const half = radius + 1;
      c.drawImage(image, x - half, y - half, image.width / 2, image.height / 2);
    };
    c.globalAlpha = this.chosen.size ? 0.13 : map.marks.length ? 0.6 : 0.8;
    for (const place of this.order) if (!this.chosen.has(place)) dot(place);
    c.globalAlpha = 1;
    for (const place of this.order) if (this.chosen.has(place)) dot(place);
    const marks = map.marks.map(([place, kind]) => [data.marks[kind], ...this.at(number, place, fit)]);
    c.font = `600 ${view > 2 ? 14 : 13}px ${style.fontFamily}`;
    c.textAlign = "center";
    c.lineWidth = 4;
    c.lineJoin = "round";
    const taken = [];
    for (const label of map.labels) {
      const x = fit.x + fit.scale * label.x;
      const y = fit.y - fit.scale * label.y;
      const half = c.measureText(label.text).width / 2;
      const kept = Math.min(Math.max(x, half + 6), canvas.clientWidth - half - 6);
      if (x < -half || x > canvas.clientWidth + half) continue;
      const under = (at) =>
        taken.some(([tx, ty, th]) => Math.abs(tx - kept) < th + half && Math.abs(ty - at) < 16);
      const onMark = (at) =>
        marks.some(([, mx, my]) => Math.abs(mx - kept) < half + 8 && Math.abs(my - at + 5) < 14);
      if (under(y)) continue;
      // Above or below its place where marks stand there; nowhere if there are too many.
      const at = [y, y - 18, y + 18, y - 36, y + 36].find((one) => !under(one) && !onMark(one));
      if (at === undefined) continue;
      taken.push([kept, at, half]);
      c.strokeStyle = page;
      c.strokeText(label.text, kept, at);
      c.fillStyle = text;
      c.fillText(label.text, kept, at);
    }
    for (const [mark, ...where] of marks) shaped(c, mark, ...where);
    if (this.hovered >= 0) {
      c.beginPath();
      c.arc(...this.at(number, this.hovered, fit), radius + 5, 0, 7);
      c.lineWidth = 2.5;
      c.strokeStyle = text;
      c.stroke();
    }
    if (this.loop?.number === number) {
      c.beginPath();
      this.loop.points.forEach(([x, y], k) => c[k ? "lineTo" : "moveTo"](x, y));
      c.setLineDash([5, 4]);
      c.lineWidth = 1.5;
      c.strokeStyle = text;
      c.stroke();
      c.setLineDash([]);
    }
  }

  drawLines() {
    const c = this.context(this.lines);
    if (!this.joined || this.canvases.length < 2) return;
    const origin = this.lines.getBoundingClientRect();
    const boxes = this.canvases.map((canvas) => canvas.getBoundingClientRect());
    const every = Math.ceil(this.chosen.size / MOST_LINES);
    const joined = [...this.chosen].filter((_, k) => k % every === 0);
    if (this.hovered >= 0) joined.push(this.hovered);
    const fits = [this.fit(0), this.fit(1)];
    c.lineWidth = 1;
    for (const place of joined) {
      c.beginPath();
      c.globalAlpha = place === this.hovered ? 1 : Math.max(0.2, 0.7 - joined.length / 250);
      c.strokeStyle = this.data.colours[this.data.colour[place]];
      [0, 1].forEach((number) => {
        const [x, y] = this.at(number, place, fits[number]);
        const box = boxes[number];
        const to = [
          Math.min(Math.max(x, 0), box.width) + box.left - origin.left,
          Math.min(Math.max(y, 0), box.height) + box.top - origin.top,
        ];
        c[number ? "lineTo" : "moveTo"](...to);
      });
      c.stroke();
    }
  }

  save() {
    const ratio = window.devicePixelRatio || 1;
    const whole = make("canvas");
    const area = this.maps.getBoundingClientRect();
    [whole.width, whole.height] = [area.width * ratio, area.height * ratio];
    const c = whole.getContext("2d");
    c.fillStyle = getComputedStyle(this.root).backgroundColor;
    c.fillRect(0, 0, whole.width, whole.height);
    for (const canvas of [...this.canvases, this.lines]) {
      const box = canvas.getBoundingClientRect();
      c.drawImage(canvas, (box.left - area.left) * ratio, (box.top - area.top) * ratio);
    }
    c.font = `600 ${15 * ratio}px sans-serif`;
    c.fillStyle = getComputedStyle(this.root).color;
    this.data.maps.forEach((map, number) => {
      const box = this.canvases[number].getBoundingClientRect();
      c.fillText(map.name, (box.left - area.left + 12) * ratio, (box.top - area.top + 24) * ratio);
    });
    const link = make("a", { download: "atlas.png", href: whole.toDataURL("image/png") });
    link.click();
  }
}

export default function (component) {
  const { parentElement, data, setStateValue, setTriggerValue } = component;
  parentElement.atlas ??= new Atlas(parentElement);
  parentElement.atlas.show(data, { setStateValue, setTriggerValue });
}
