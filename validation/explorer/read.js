"use strict";

// Predictions from the table, read as table.py reads it; no part of this file knows of the page.

const TIMES = ["t_grok", "low", "high", "t_mem"];
const GOOD = ["generalizes", "already"];

/** The place below a value on an axis, and the share of the one above. */
function between(axis, x) {
  const grid = axis.values;
  if (grid.length === 1) return { low: 0, share: 0 };
  const scaled = axis.log ? Math.log : (v) => v;
  let low = 0;
  while (low < grid.length - 2 && grid[low + 1] <= x) low += 1;
  const share = (scaled(x) - scaled(grid[low])) / (scaled(grid[low + 1]) - scaled(grid[low]));
  return { low, share: Math.min(Math.max(share, 0), 1) };
}

/** The nodes around a setting: where each lies in the flat lists, its weight, and its own setting. Of some settings,
 *  those that are `taken`, only the nearest node's. */
function corners(axes, at, taken = []) {
  let found = [{ place: 0, weight: 1, near: true, at: {} }];
  for (const axis of axes) {
    let { low, share } = between(axis, at[axis.name]);
    if (taken.includes(axis.name)) share = share >= 0.5 ? 1 : 0;
    const next = [];
    for (const one of found) {
      for (const upper of [0, 1]) {
        const weight = one.weight * (upper ? share : 1 - share);
        const near = one.near && upper === (share >= 0.5 ? 1 : 0);
        if (weight === 0 && !near) continue;
        const place = one.place * axis.values.length + low + upper;
        next.push({ place, weight, near, at: { ...one.at, [axis.name]: axis.values[low + upper] } });
      }
    }
    found = next;
  }
  return found;
}

/** ηγ at a setting. */
const rateOf = (at) => at.gamma * at.eta_d;

/** A sum over nodes; what has no weight may be no number. */
const weighed = (around, value) => around.reduce((sum, c) => sum + (c.weight ? c.weight * value(c) : 0), 0);

/** Sets of names, the small ones first. */
function subsets(names) {
  const all = names.reduce((sets, name) => [...sets, ...sets.map((set) => [...set, name])], [[]]);
  return all.sort((a, b) => a.length - b.length);
}

/** What the table says at a setting: times, status and seeds. Where it cannot be read between nodes in every setting,
 *  as few of them as can be are the nearest node's, `taken`. */
function readTable(table, at) {
  const names = table.taken.filter((name) => table.axes.some((axis) => axis.name === name));
  let found;
  for (const taken of subsets(names)) {
    found = readNodes(table, at, taken);
    if (found.even) return { ...found, taken };
  }
  return { ...found, taken: names };
}

function readNodes(table, at, taken) {
  const around = corners(table.axes, at, taken);
  const nearest = around.find((c) => c.near);
  const used = around.filter((c) => c.weight > 0);
  const tau = (values, c) => (values[c.place] === null ? NaN : values[c.place] * rateOf(c.at));
  const alike = (values) => {
    const all = used.map((c) => tau(values, c)).filter((x) => Number.isFinite(x));
    return Math.max(...all, 0) <= table.even * Math.min(...all, Infinity);
  };
  const even =
    used.every((c) => table.kind[c.place] === table.kind[nearest.place]) && table.seeds.every(alike);
  const one = (values) => weighed(around, (c) => tau(values, c)) / rateOf(at);
  const found = { even, node: nearest.at, status: table.statuses[table.status[nearest.place]] };
  for (const name of TIMES) found[name] = one(table[name]);
  found.seeds = table.seeds.map(one);
  found.share = table.share[nearest.place];
  found.remarks = table.remarks[nearest.place].map((k) => table.sentences[k]);
  return found;
}

/** The weakest γ with which a time is within the budget, all else as it is; null where there is none. */
function weakest(table, at, budget, name = "t_grok") {
  const within = (gamma) => {
    const found = readTable(table, { ...at, gamma });
    return GOOD.includes(found.status) && found[name] <= budget;
  };
  const grid = table.axes.find((axis) => axis.name === "gamma").values;
  const [first, last] = [grid[0], grid[grid.length - 1]];
  if (within(first)) return first;
  const count = grid.length > 1 ? 240 : 0;
  for (let k = 1; k <= count; k += 1) {
    let high = k === count ? last : first * (last / first) ** (k / count);
    if (!within(high)) continue;
    let low = first * (last / first) ** ((k - 1) / count);
    for (let turn = 0; turn < 30; turn += 1) {
      const middle = Math.sqrt(low * high);
      if (within(middle)) high = middle;
      else low = middle;
    }
    return high;
  }
  return null;
}

/** The curves of one seed at a setting, against steps: those of the nodes around that end alike, mixed. */
function readWay(ways, at, seed, t_grok) {
  const around = corners(ways.axes, at);
  const timed = t_grok > 0 && Number.isFinite(t_grok);
  const flat = (c) => c.place * ways.seeds.length + seed;
  let used = around.filter((c) => c.weight > 0 && Boolean(ways.timed[flat(c)]) === timed);
  if (!used.length) used = around.filter((c) => c.near);
  const whole = used.reduce((sum, c) => sum + c.weight, 0) || 1;
  const scale = timed && ways.timed[flat(used[0])] ? t_grok : 1 / rateOf(at);
  const found = { t: ways.x.map((x) => x * scale) };
  for (const [name, values] of Object.entries(ways.curves)) {
    found[name] = ways.x.map((_, k) => {
      const each = used.map((c) => values[flat(c) * ways.x.length + k]);
      if (each.some((v) => v === null)) return null;
      return each.reduce((sum, v, j) => sum + (used.length === 1 ? 1 : used[j].weight / whole) * v, 0);
    });
  }
  return found;
}

if (typeof module !== "undefined") module.exports = { readTable, readWay, weakest };
