"use strict";

// Panels in SVG: axes with few ticks, lines, bands and points, labels at the curves themselves.

const SVG = document.querySelector("svg").namespaceURI;

/** An SVG element in a parent. */
function put(parent, tag, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  parent.append(made);
  return made;
}

/** A number as people write it: thousands apart, three digits. */
function short(x) {
  if (x === 0) return "0";
  if (!Number.isFinite(x)) return x === Infinity ? "never" : "–";
  if (Math.abs(x) >= 1e7 || Math.abs(x) < 1e-3) {
    const [digits, power] = x.toExponential(2).split("e");
    return `${Number(digits)}e${Number(power)}`;
  }
  const rounded = Number(x.toPrecision(3));
  return Math.abs(x) >= 1000 ? rounded.toLocaleString("en-US") : String(rounded);
}

/** One panel: it holds its scales, and is drawn anew whenever something moves. */
class Panel {
  constructor(svg, { x, y, height, left = 46, right = 14, top = 26, bottom = 40 }) {
    this.svg = svg;
    this.width = svg.parentElement.clientWidth;
    this.height = height;
    this.box = { left, top, right: this.width - right, bottom: height - bottom };
    this.x = this.scale(x, this.box.left, this.box.right);
    this.y = this.scale(y, this.box.bottom, this.box.top);
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    svg.setAttribute("height", height);
    const id = `clip-${svg.id}`;
    const clip = put(put(svg, "clipPath", { id }), "rect");
    const inside = { x: left, y: top, width: this.box.right - left, height: this.box.bottom - top };
    for (const [name, value] of Object.entries(inside)) clip.setAttribute(name, Math.max(value, 0));
    this.axes(x, y);
    this.inside = put(svg, "g", { "clip-path": `url(#${id})` });
    this.above = put(svg, "g");
  }

  scale({ from, to, log }, start, end) {
    const f = log ? Math.log : (v) => v;
    return (v) => start + ((f(v) - f(from)) / (f(to) - f(from))) * (end - start);
  }

  axes(x, y) {
    const { left, right, top, bottom } = this.box;
    for (const v of ticks(x, (right - left) / 62)) {
      const at = this.x(v);
      put(this.svg, "line", { x1: at, x2: at, y1: top, y2: bottom, class: "grid" });
      put(this.svg, "text", { x: at, y: bottom + 16, class: "tick", "text-anchor": "middle" }, (x.format || label)(v));
    }
    for (const v of ticks(y, (bottom - top) / 38)) {
      const at = this.y(v);
      put(this.svg, "line", { x1: left, x2: right, y1: at, y2: at, class: "grid" });
      put(this.svg, "text", { x: left - 6, y: at + 4, class: "tick", "text-anchor": "end" }, (y.format || label)(v));
    }
    put(this.svg, "text", { x: right, y: bottom + 34, class: "name", "text-anchor": "end" }, x.name);
    put(this.svg, "text", { x: 0, y: 13, class: "name" }, y.name);
  }

  /** A line through points [x, y], broken where one of them is no number. */
  line(points, kind) {
    let path = "";
    let pen = "M";
    for (const [x, y] of points) {
      const at = [x === null ? NaN : this.x(x), y === null ? NaN : this.y(y)];
      if (at.every(Number.isFinite)) {
        path += `${pen}${at[0].toFixed(1)} ${at[1].toFixed(1)}`;
        pen = "L";
      } else pen = "M";
    }
    return put(this.inside, "path", { d: path, class: `line ${kind}` });
  }

  /** What lies between two curves over x, of points [x, low, high]. */
  band(points, kind) {
    const floor = this.box.bottom;
    let run = [];
    const close = () => {
      if (run.length > 1) {
        const up = run.map(([x, low]) => `${x} ${low}`);
        const back = run.map(([x, , high]) => `${x} ${high}`).reverse();
        put(this.inside, "path", { d: `M${[...up, ...back].join("L")}Z`, class: `area ${kind}` });
      }
      run = [];
    };
    for (const [x, low, high] of points) {
      const ends = [low > 0 ? this.y(low) : floor, high === Infinity ? this.box.top : this.y(high)];
      if (ends.every(Number.isFinite)) run.push([this.x(x), Math.min(ends[0], floor), ends[1]]);
      else close();
    }
    close();
  }

  span(from, to, kind) {
    const clipped = [from, to].map((v) => Math.min(Math.max(this.x(v), this.box.left), this.box.right));
    const [x, end] = clipped;
    const size = { x, width: Math.max(end - x, 0), y: this.box.top, height: this.box.bottom - this.box.top };
    put(this.inside, "rect", { ...size, class: `area ${kind}` });
  }

  upright(x, kind) {
    put(this.inside, "line", { x1: this.x(x), x2: this.x(x), y1: this.box.top, y2: this.box.bottom, class: `line ${kind}` });
  }

  level(y, kind) {
    put(this.inside, "line", { x1: this.box.left, x2: this.box.right, y1: this.y(y), y2: this.y(y), class: `line ${kind}` });
  }

  point(x, y, kind, radius = 4) {
    const at = { cx: this.x(x), cy: this.y(y), r: radius };
    if (Object.values(at).every(Number.isFinite)) put(this.inside, "circle", { ...at, class: `dot ${kind}` });
  }

  /** A run that had not generalized when it ended: a triangle upwards, on its last step. */
  open(x, y, kind) {
    const [a, b] = [this.x(x), this.y(y)];
    put(this.inside, "path", { d: `M${a - 4} ${b + 3}L${a + 4} ${b + 3}L${a} ${b - 5}Z`, class: `dot open ${kind}` });
  }

  /** Words at a place in the panel, kept within it. */
  label(words, x, y, kind = "", anchor = "start") {
    const text = put(this.above, "text", { x, y, class: `label ${kind}`, "text-anchor": anchor }, words);
    const wide = text.getComputedTextLength();
    const from = anchor === "end" ? x - wide : anchor === "middle" ? x - wide / 2 : x;
    const shift = Math.max(this.box.left + 3 - from, 0) + Math.min(this.width - 2 - wide - from, 0);
    text.setAttribute("x", x + shift);
    text.setAttribute("y", Math.min(Math.max(y, this.box.top + 11), this.box.bottom - 4));
    return text;
  }
}

const label = (v) => (Math.abs(v) >= 1e6 || (v && Math.abs(v) < 1e-3) ? v.toExponential().replace("+", "") : v.toLocaleString("en-US"));

/** Round values within the ends of a scale, at most so many. */
function ticks({ from, to, log, at }, most) {
  if (at) return at;
  if (!log) {
    const least = (to - from) / Math.max(most, 2);
    const power = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= least);
    const first = Math.ceil(from / step - 1e-9);
    return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, k) => Number(((first + k) * step).toPrecision(9)));
  }
  const all = (digits, apart = 1) => {
    const found = [];
    for (let e = Math.floor(Math.log10(from)); e <= Math.log10(to) + 1; e += 1) {
      if (e % apart === 0) found.push(...digits.map((d) => Number(`${d}e${e}`)));
    }
    return found.filter((v) => v >= from * 0.999 && v <= to * 1.001);
  };
  const choices = [all([1, 2, 3, 4, 5, 6, 7, 8]), all([1, 2, 5]), all([1, 3]), all([1]), all([1], 2), all([1], 3)];
  return choices.find((found) => found.length <= Math.max(most, 2)) || choices[5];
}
