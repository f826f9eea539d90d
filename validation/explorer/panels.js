"use strict";

// The three panels of the page: times against γ, curves against steps, and the landscape with the way down.

const decades = (x, below, above) => {
  const power = Math.floor(Math.log10(x));
  return [10 ** (power - below), 10 ** (power + above)];
};

/** t_grok against γ, all else as it is, with the law 1/γ, the budget and the measured runs. */
function drawTimes(found, gamma) {
  const axis = page.sliders.find((s) => s.name === "gamma");
  $("times").parentElement.parentElement.hidden = axis.stops.length === 1;
  if (axis.stops.length === 1) return;
  const [first, last] = [axis.stops[0], axis.stops[axis.stops.length - 1]];
  const at = settings();
  const all = Array.from({ length: 161 }, (_, k) => {
    const g = first * (last / first) ** (k / 160);
    return [g, readTable(table, { ...at, gamma: g })];
  });
  const mine = runs.filter(alike);
  const values = [
    ...all.flatMap(([, f]) => [f.t_grok, f.low, f.high, f.t_mem >= 1 ? f.t_mem : 0]), ...mine.flatMap((r) => [r.t_grok, r.last]), state.budget,
  ].filter((t) => known(t) && t > 0);
  const ends = values.length > 1 ? [Math.min(...values), Math.max(...values)] : [state.budget / 100, state.budget];
  const room = (last / first) ** 0.03;
  const panel = new Panel($("times"), {
    x: { from: first / room, to: last * room, log: true, name: "weight decay γ" },
    y: { from: ends[0] / 1.6, to: ends[1] * 1.6, log: true, name: "steps", format: (v) => (v >= 1e4 ? compact(v) : label(v)) },
    height: 290,
  });
  panel.band(all.map(([g, f]) => [g, f.low, f.high]), "mark");
  panel.level(state.budget, "budget");
  if (known(found.t_grok) && found.t_grok > 0) {
    const law = (g) => (found.t_grok * state.gamma) / g;
    panel.line([[first, law(first)], [last, law(last)]], "law");
  }
  panel.line(all.map(([g, f]) => [g, f.t_mem >= 1 ? f.t_mem : null]), "fit");
  panel.line(all.map(([g, f]) => [g, f.t_grok > 0 ? f.t_grok : null]), "mark");
  for (const run of mine) {
    if (run.t_grok === null) panel.open(run.gamma, run.last, "run");
    else panel.point(run.gamma, run.t_grok, "run", 3.5);
  }
  if (gamma !== null) panel.upright(gamma, "budget");
  if (known(found.t_grok) && found.t_grok > 0) panel.point(state.gamma, found.t_grok, "here", 6);
  const place = (share, of) => {
    const [g, f] = all[Math.round(share * 160)];
    return known(f[of]) && f[of] >= 1 ? [panel.x(g), panel.y(f[of])] : null;
  };
  const fits = place(0.03, "t_mem");
  if (fits) panel.label("fits", fits[0], fits[1] - 6, "fit");
  panel.label(`budget ${short(state.budget)}`, panel.box.left + 4, panel.y(state.budget) - 6, "budget");
  if (known(found.t_grok) && found.t_grok > 0) {
    const share = Math.log(state.gamma / first) / Math.log(last / first);
    const g = first * (last / first) ** (Math.abs(share - 0.75) < 0.15 ? 0.5 : 0.75);
    const law = (found.t_grok * state.gamma) / g;
    const below = readTable(table, { ...at, gamma: g }).t_grok > 1.02 * law;
    if (below) panel.label("t ∝ 1/γ", panel.x(g) - 6, panel.y(law) + 14, "law", "end");
    else panel.label("t ∝ 1/γ", panel.x(g) + 8, panel.y(law) - 8, "law");
  }
  const counted = mine.length ? `, ${mine.length} measured runs` : "";
  $("times").setAttribute("aria-label", `Steps to generalize against weight decay, with the 90 % interval${counted}. ${$("headline").textContent}.`);
  $("times-note").textContent = mine.length
    ? `Dots: ${mine.length} measured runs of this start and rate${mine.some((r) => r.t_grok === null) ? "; triangles: not yet, when they ended" : ""}.`
    : runs.length ? "No measured run has this start and rate." : "";
}

const compact = (v) => Intl.NumberFormat("en-US", { notation: "compact" }).format(v).replace("K", "k");

/** The ways of all seeds at the setting, with which seed each is of. */
function waysHere(found) {
  if (!ways) return [];
  return ways.seeds.map((seed, k) => ({ seed, ...readWay(ways, settings(), k, found.seeds[table.names.indexOf(seed)]) }));
}

/** Accuracies against steps: each seed thin, the median thick, t_grok and its interval. */
function drawCurves(found) {
  const each = waysHere(found);
  $("curves").parentElement.parentElement.hidden = !each.length;
  if (!each.length) return;
  const groks = known(found.t_grok) && found.t_grok > 0;
  const center = groks ? found.t_grok : 1 / rateOf(state);
  const [from, to] = decades(center, 2, 1.5);
  const panel = new Panel($("curves"), {
    x: { from, to, log: true, name: "optimizer steps", format: (v) => (v >= 1e4 ? compact(v) : label(v)) },
    y: { from: -0.03, to: 1.03, name: "accuracy", at: [0, 0.25, 0.5, 0.75, 1] },
    height: 300,
  });
  if (groks && !Number.isNaN(found.low + found.high)) panel.span(Math.max(found.low, from), Math.min(found.high, to), "mark");
  if (page.source.metric === "accuracy") panel.level(page.source.threshold, "limit");
  const grid = Array.from({ length: 220 }, (_, k) => from * (to / from) ** (k / 219));
  for (const [name, kind] of [["train_accuracy", "train"], ["test_accuracy", "test"]]) {
    if (!each[0][name]) continue;
    for (const way of each) panel.line(way.t.map((t, k) => [t, way[name][k]]), `${kind} thin`);
    const curve = grid.map((t) => [t, median(each.map((way) => interpolated(way.t, way[name], t)))]);
    panel.line(curve, `${kind} thick`);
    const shown = curve.filter(([, v]) => v !== null);
    if (!shown.length) continue;
    const [t, v] = kind === "test" ? shown.find(([, y]) => y > 0.5) || shown[shown.length - 1] : shown[Math.floor(shown.length * (shown[0][1] > 0.9 ? 0.2 : 0.06))];
    if (kind === "test" && t > 2 * from) panel.label("test", panel.x(t) - 10, panel.y(v) + 4, kind, "end");
    else if (kind === "test") panel.label("test", panel.x(shown[8][0]), panel.y(shown[8][1]) - 9, kind);
    else panel.label("training", panel.x(t), panel.y(v) + (v > 0.9 ? 18 : -8), kind);
  }
  for (const run of runs.filter((r) => alike(r) && near(r.gamma, state.gamma) && r.t_grok !== null)) {
    panel.point(run.t_grok, page.source.threshold, "run", 3.5);
  }
  if (groks) {
    panel.upright(found.t_grok, "mark");
    panel.label(steps(found.t_grok), panel.x(found.t_grok) + 7, panel.box.bottom - 10, "mark strong");
  }
  $("curves").setAttribute("aria-label", `Training and test accuracy against optimizer steps. ${$("headline").textContent}.`);
}

function interpolated(t, values, at) {
  if (at <= t[0]) return values[0];
  const k = t.findIndex((x) => x >= at);
  if (k < 1 || values[k] === null || values[k - 1] === null) return null;
  return values[k - 1] + ((at - t[k - 1]) / (t[k] - t[k - 1])) * (values[k] - values[k - 1]);
}

function median(values) {
  const sorted = values.filter((v) => v !== null).sort((a, b) => a - b);
  if (sorted.length < Math.max(values.length / 2, 1)) return null;
  const half = (sorted.length - 1) / 2;
  return (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2;
}

/** The landscape with the start and the way down. */
function drawScene(found) {
  const each = waysHere(found);
  const draw = { lu: drawLU, map: drawMap, drift: drawDrift }[scene.kind];
  $("scene").parentElement.parentElement.hidden = !draw || !each.length;
  if (draw && each.length) draw(found, each);
}

/** Lowest loss worth telling apart: the rest is the rounding of the optimizer. */
const decent = (values, top) => Math.max(Math.min(...values.filter((v) => v > 0)), top / 1e6);

function lossAxis(lists) {
  const all = lists.flat(2).filter((v) => known(v) && v > 0);
  const top = Math.max(...all);
  const format = (v) => (v < 0.01 || v >= 1e4 ? v.toExponential().replace("+", "") : label(v));
  return { from: decent(all, top) / 2, to: top * 4, log: true, name: "loss", format };
}

const least = (values, floor) => values.map((v) => (known(v) ? Math.max(v, floor) : null));

/** The LU mechanism: training and test loss against the norm, and the start that slides down them. */
function drawLU(found, each) {
  const y = lossAxis([scene.train_loss, scene.test_loss]);
  const [from, to] = [scene.alpha[0], scene.alpha[scene.alpha.length - 1]];
  const panel = new Panel($("scene"), { x: { from, to, log: true, name: "weight norm w / w₀" }, y, height: 290, left: 52 });
  const losses = (name, kind) => {
    const middle = scene.alpha.map((_, k) => median(scene[name].map((row) => row[k])));
    for (const row of scene[name]) panel.line(scene.alpha.map((a, k) => [a, least(row, y.from * 1.3)[k]]), `${kind} thin`);
    panel.line(scene.alpha.map((a, k) => [a, least(middle, y.from * 1.3)[k]]), `${kind} thick`);
    return (a) => interpolated(scene.alpha, least(middle, y.from * 1.3), a);
  };
  const training = losses("train_loss", "train");
  const test = losses("test_loss", "test");
  const ends = each.map((way) => normAt(way, found.seeds[table.names.indexOf(way.seed)])).filter(known);
  const end = ends.length ? median(ends) : null;
  const groks = known(found.t_grok) && found.t_grok > 0 && end !== null;
  if (groks) {
    const between = Array.from({ length: 60 }, (_, k) => state.alpha * (end / state.alpha) ** (k / 59));
    panel.line(between.map((a) => [a, test(a)]), "way");
    panel.point(end, test(end), "end", 6);
  }
  panel.upright(state.alpha, "start");
  panel.point(state.alpha, training(state.alpha), "start", 5);
  panel.point(state.alpha, test(state.alpha), "start", 5);
  const left = from * (to / from) ** 0.03;
  panel.label("test", panel.x(left), panel.y(test(left)) - 9, "test");
  panel.label("training", panel.x(to / (to / from) ** 0.03), panel.y(training(to)) - 9, "train", "end");
  panel.label("start", panel.x(state.alpha) - 6, panel.box.top + 11, "start", "end");
  if (groks) panel.label("generalizes", panel.x(end), panel.y(test(end)) + 20, "end", "middle");
  const words = groks ? ` Weight decay takes the norm from ${short(state.alpha)} to ${short(end)}, where it generalizes.` : "";
  $("scene").setAttribute("aria-label", `Training and test loss against the weight norm.${words}`);
}

function normAt(way, t_grok) {
  return known(t_grok) && t_grok > 0 ? interpolated(way.t, way.alpha, t_grok) : null;
}

/** The sampled training loss over norm and messiness, where it generalizes, and the way of each seed. */
function drawMap(found, each) {
  const seed = scene.seeds.indexOf(state.seed);
  const { alpha, m } = scene;
  const edges = (v) => [v[0] - (v[1] - v[0]) / 2, ...v.slice(1).map((x, k) => (x + v[k]) / 2), v[v.length - 1] + (v[v.length - 1] - v[v.length - 2]) / 2];
  const [ax, mx] = [edges(alpha), edges(m)];
  const panel = new Panel($("scene"), {
    x: { from: ax[0], to: ax[ax.length - 1], name: "weight norm w / w₀" },
    y: { from: mx[0], to: mx[mx.length - 1], name: "messiness m" },
    height: 330,
  });
  const rows = scene.train_loss[seed];
  const all = rows.flat().filter((v) => v > 0);
  const [low, high] = [Math.log(decent(all, Math.max(...all))), Math.log(Math.max(...all))];
  rows.forEach((row, i) => row.forEach((value, j) => {
    const share = Math.min(Math.max((Math.log(Math.max(value, 1e-300)) - low) / (high - low || 1), 0), 1);
    const size = { x: panel.x(ax[j]), y: panel.y(mx[i + 1]), width: panel.x(ax[j + 1]) - panel.x(ax[j]) + 0.6, height: panel.y(mx[i]) - panel.y(mx[i + 1]) + 0.6 };
    put(panel.inside, "rect", { ...size, class: "cell", style: `--share:${(100 * share).toFixed(1)}%` });
  }));
  panel.line(scene.edge[seed].map(([a, b]) => [a, b]), "edge");
  for (const way of each) {
    const mine = way.seed === state.seed;
    panel.line(way.alpha.map((a, k) => [a, way.m[k]]).map((p, k) => (k ? p : [state.alpha, state.m])), mine ? "way" : "way thin");
    const t = found.seeds[table.names.indexOf(way.seed)];
    if (mine && known(t) && t > 0) panel.point(interpolated(way.t, way.alpha, t), interpolated(way.t, way.m, t), "end", 6);
  }
  panel.point(state.alpha, state.m, "start", 6);
  $("seed").value = state.seed;
  $("scene").setAttribute("aria-label", `Training loss over weight norm and messiness, seed ${state.seed}, with the way from the start. ${$("headline").textContent}.`);
}

/** Of networks that were followed: their losses against the norm that they had. */
function drawDrift(found, each) {
  const norms = ways.curves.alpha.filter((v) => known(v) && v > 0);
  const y = lossAxis([ways.curves.train_loss || [], ways.curves.test_loss || []]);
  const panel = new Panel($("scene"), {
    x: { from: Math.min(...norms) / 1.05, to: Math.max(...norms) * 1.05, log: true, name: "weight norm w / w₀" }, y, height: 290, left: 52,
  });
  for (const [name, kind] of [["train_loss", "train"], ["test_loss", "test"]]) {
    if (!each[0][name]) continue;
    const floor = y.from * 1.3;
    for (const way of each) panel.line(way.alpha.map((a, k) => [a, least(way[name], floor)[k]]), `${kind} thin`);
    const curve = ways.x.map((_, k) => [median(each.map((w) => w.alpha[k])), median(each.map((w) => least(w[name], floor)[k]))]);
    panel.line(curve, `${kind} thick`);
    const shown = curve.filter((p) => p.every(known));
    if (!shown.length) continue;
    const [a, b] = shown[Math.floor(shown.length * 0.5)];
    panel.label(kind === "train" ? "training" : "test", panel.x(a), panel.y(b) - 10, kind, "middle");
    if (name !== "test_loss") continue;
    panel.point(...shown[0], "start", 5);
    panel.label("start", panel.x(shown[0][0]), panel.y(shown[0][1]) - 10, "start", "middle");
  }
  const ends = each.map((way) => {
    const t = found.seeds[table.names.indexOf(way.seed)];
    return known(t) && t > 0 && way.test_loss ? [interpolated(way.t, way.alpha, t), interpolated(way.t, way.test_loss, t)] : null;
  }).filter((p) => p && p.every(known));
  for (const [a, b] of ends) panel.point(a, b, "end", 4);
  if (ends.length) {
    const [a, b] = ends[0];
    panel.label("generalizes", panel.x(a), panel.y(b) + 20, "end", "middle");
  }
  $("scene").setAttribute("aria-label", "Training and test loss against the weight norm that the networks had, from their start to where they generalize.");
}
