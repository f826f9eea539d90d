"use strict";

// What stands on the page: sliders in, headline and panels out. The address holds what was set.

const page = JSON.parse(document.getElementById("data").textContent, (_, v) => (v === "∞" ? Infinity : v));
const $ = (id) => document.getElementById(id);
const { table, ways, scene, runs } = page;
const moved = [...page.sliders, page.budget];
const state = Object.fromEntries(moved.map((s) => [s.name, s.start]));
state.seed = page.scene.seeds[0];

const settings = () => Object.fromEntries(page.sliders.map((s) => [s.name, state[s.name]]));
const known = (x) => x !== null && Number.isFinite(x);
const steps = (x) => (x < 100 ? String(Number(x.toPrecision(2))) : Number(x.toPrecision(3)).toLocaleString("en-US"));
const near = (a, b) => Math.abs(a - b) <= 0.01 * Math.abs(b) + 1e-12;

// --- controls ------------------------------------------------------------------------------------

function nearestStop(slider, value) {
  const far = (v) => Math.abs(slider.log ? Math.log(v / value) : v - value);
  return slider.stops.reduce((best, v, k) => (far(v) < far(slider.stops[best]) ? k : best), 0);
}

function control(slider) {
  const box = document.createElement("div");
  box.className = "control";
  const id = `set-${slider.name}`;
  if (slider.stops.length === 1) {
    box.innerHTML = `<span class="what"><b></b> <span class="soft"></span></span><output class="value"></output>`;
    box.querySelector("output").textContent = slider.stops[0];
  } else {
    box.innerHTML =
      `<label class="what" for="${id}"><b></b> <span class="soft"></span></label>` +
      `<input class="value" inputmode="decimal" autocomplete="off" spellcheck="false">` +
      `<input type="range" id="${id}" min="0" max="${slider.stops.length - 1}" step="1">`;
    const [value, range] = box.querySelectorAll("input");
    value.setAttribute("aria-label", `${slider.words}, as a number`);
    range.addEventListener("input", () => set({ [slider.name]: slider.stops[range.value] }));
    value.addEventListener("change", () => {
      const typed = Number(value.value);
      const [least, most] = [slider.stops[0], slider.stops[slider.stops.length - 1]];
      const taken = Number.isFinite(typed) && value.value.trim() ? Math.min(Math.max(typed, least), most) : state[slider.name];
      set({ [slider.name]: slider.exact ? slider.stops[nearestStop(slider, taken)] : taken });
    });
  }
  box.querySelector("b").textContent = slider.symbol;
  box.querySelector(".soft").textContent = slider.words;
  $(slider === page.budget ? "budget" : "sliders").append(box);
}

function showControls() {
  for (const slider of moved) {
    const range = $(`set-${slider.name}`);
    if (!range) continue;
    range.value = nearestStop(slider, state[slider.name]);
    range.setAttribute("aria-valuetext", `${slider.symbol} = ${written(state[slider.name])}`);
    range.style.setProperty("--share", `${(100 * range.value) / range.max}%`);
    range.parentElement.querySelector(".value").value = written(state[slider.name]);
  }
}

const written = (x) => (x >= 1e4 ? x.toLocaleString("en-US", { useGrouping: false }) : String(Number(x.toPrecision(6))));

// --- the address ---------------------------------------------------------------------------------

function address() {
  const parts = moved.map((s) => `${s.name}=${written(state[s.name])}`);
  return `#${[...parts, ...(scene.kind === "map" ? [`seed=${state.seed}`] : [])].join("&")}`;
}

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const slider of moved) {
    const value = Number(given.get(slider.name) ?? NaN);
    const [least, most] = [slider.stops[0], slider.stops[slider.stops.length - 1]];
    if (value >= least && value <= most) state[slider.name] = slider.exact ? slider.stops[nearestStop(slider, value)] : value;
  }
  const seed = Number(given.get("seed") ?? NaN);
  if (scene.seeds.includes(seed)) state.seed = seed;
}

function set(changes) {
  Object.assign(state, changes);
  try {
    history.replaceState(null, "", address());
  } catch {
    location.replace(address());
  }
  show();
}

// --- what is predicted, in words -----------------------------------------------------------------

function headline(found) {
  const groks = found.status === "generalizes" && known(found.t_grok);
  $("headline").textContent = groks
    ? `groks at ≈ ${steps(found.t_grok)} steps`
    : found.status === "already" ? "generalizes as it fits" : page.headlines[found.status];
  $("interval").textContent = groks ? interval(found) : "";
  const lines = [];
  if (groks && known(found.t_mem) && found.t_mem >= 1) lines.push(`fits its training set by ${steps(found.t_mem)}`);
  if (table.seeds.length > 1) lines.push(`${Math.round(found.share * table.seeds.length)} of ${table.seeds.length} seeds generalize`);
  $("beside").textContent = lines.join(" · ");
  $("result").dataset.values = JSON.stringify({ ...found, seeds: undefined, remarks: undefined });
  $("result").classList.toggle("bad", !groks && found.status !== "already");
}

function interval(found) {
  if (table.seeds.length < 2 && ![found.low, found.high].some((x) => known(x) || x === Infinity)) return "one seed: no interval";
  const ends = [found.low, found.high].map((x) => (x === Infinity ? "never" : known(x) ? steps(x) : "not known"));
  return `90 % of runs of other seeds: ${ends.join(" – ")}`;
}

function remarks(found) {
  const all = [...found.remarks];
  if (page.notes[found.status]) all.unshift(page.notes[found.status]);
  if (found.taken.length) {
    const where = page.sliders.filter((s) => found.taken.includes(s.name)).map((s) => `${s.symbol} = ${short(found.node[s.name])}`);
    all.push(`Near the edge of where networks generalize: these are the numbers at ${where.join(", ")}.`);
  }
  $("remarks").replaceChildren(
    ...all.map((words) => Object.assign(document.createElement("li"), { textContent: words })),
  );
}

function budget() {
  const at = settings();
  const gamma = weakest(table, at, state.budget);
  const sure = weakest(table, at, state.budget, "high");
  const first = table.axes.find((axis) => axis.name === "gamma").values[0];
  const words = gamma === null
    ? `No γ on the slider groks within ${steps(state.budget)} steps.`
    : gamma === first
      ? `Any γ from ${short(gamma)} on groks within ${steps(state.budget)} steps.`
      : `γ = ${short(gamma)} groks within ${steps(state.budget)} steps.`;
  const more = gamma !== null && sure !== null && sure !== gamma ? ` For 95 % of other seeds: γ = ${short(sure)}.` : "";
  $("choose").textContent = words + more;
  $("choose").dataset.gamma = gamma ?? "";
  $("use").hidden = gamma === null;
  return gamma;
}

function commands() {
  const { source } = page;
  const named = (name) => (name === "eta_ratio" ? ["eta_r", Number((state.eta_ratio * state.eta_d).toPrecision(6))] : [name, Number(written(state[name]))]);
  const each = page.sliders.map((s) => named(s.name));
  const flags = each.map(([name, value]) => `--${name.replace("_", "-")} ${value}`).join(" ");
  const words = each.map(([name, value]) => `${name}=${value}`).join(", ");
  $("shell").parentNode.hidden = source.shell === null;
  $("shell").textContent = `groktime predict ${source.shell} ${flags}${page.options.shell}`;
  $("python").textContent = `import groktime as gt\n\ngt.predict(${source.python}, ${words}${page.options.python})`;
}

// --- runs that were measured ---------------------------------------------------------------------

const others = ["eta_d", "alpha", "m", "eta_ratio"];
const alike = (run) => others.every((name) => !known(run[name]) || state[name] === undefined || near(run[name], state[name]));

function runChoices() {
  if (!runs.length) return;
  const places = new Map();
  for (const run of runs) {
    const at = Object.fromEntries(page.sliders.filter((s) => known(run[s.name])).map((s) => [s.name, run[s.name]]));
    const words = page.sliders.filter((s) => s.name in at && s.stops.length > 1).map((s) => `${s.symbol} ${written(at[s.name])}`).join(", ");
    const place = places.get(words) || { at, count: 0 };
    place.count += 1;
    places.set(words, place);
  }
  $("measured").hidden = false;
  for (const [words, { at, count }] of places) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${words} (${count})` });
    button.addEventListener("click", () => set(at));
    $("places").append(button);
  }
}

// --- together ------------------------------------------------------------------------------------

let told;

function show() {
  const found = readTable(table, settings());
  showControls();
  headline(found);
  remarks(found);
  const gamma = budget();
  commands();
  drawTimes(found, gamma);
  drawCurves(found);
  drawScene(found);
  clearTimeout(told);
  told = setTimeout(() => {
    $("told").textContent = [$("headline").textContent, $("interval").textContent, $("choose").textContent].filter(Boolean).join(". ");
  }, 400);
}

moved.forEach(control);
runChoices();
fromAddress();
$("use").addEventListener("click", () => set({ gamma: Number(Number($("choose").dataset.gamma).toPrecision(4)) }));
for (const button of document.querySelectorAll("[data-copies]")) {
  button.addEventListener("click", async () => {
    const text = $(button.dataset.copies).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren($(button.dataset.copies));
      button.textContent = "selected";
    }
    $("told").textContent = button.textContent;
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
}
if (scene.kind === "map") {
  for (const seed of scene.seeds) $("seed").append(new Option(seed, seed));
  $("seed").addEventListener("change", () => set({ seed: Number($("seed").value) }));
  $("seeds").hidden = false;
}
addEventListener("hashchange", () => {
  fromAddress();
  show();
});
new ResizeObserver(show).observe($("panels"));
show();
