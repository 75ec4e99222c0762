"use strict";
// Penalised fits at some values of log lambda, carried by the page; between them the cubic through the four nearest.
(() => {
  const record = JSON.parse(document.getElementById("path-data").textContent);
  const { t } = record, last = t.length - 1, step = (t[last] - t[0]) / last;

  const between = (values, x) => {
    const at = Math.min(Math.max((x - t[0]) / step, 0), last);
    const first = Math.min(Math.max(Math.floor(at) - 1, 0), Math.max(last - 3, 0)), count = Math.min(4, last + 1);
    let sum = 0;
    for (let i = 0; i < count; i++) {
      let weight = 1;
      for (let j = 0; j < count; j++) if (j !== i) weight *= (at - first - j) / (i - j);
      sum += weight * values[first + i];
    }
    return sum;
  };

  const format = (value) => {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    const text = value !== 0 && (size >= 1e6 || size < 1e-4)
      ? value.toExponential(2).replace("e+", "e") : String(Number(value.toPrecision(4)));
    return text.replaceAll("-", "−");
  };

  const nats = (value) => value.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−");

  const range = document.getElementById("path-range");
  const cursors = [...document.querySelectorAll("line.cursor")];
  const rows = [...document.querySelectorAll('tr[data-follows="column"]')];
  const jumps = [...document.querySelectorAll("[data-path]")];
  const outs = Object.fromEntries(
    ["lambda", "dof", "elpd", "evidence", "deviance"].map((name) => [name, [...document.querySelectorAll(`[data-follows="${name}"]`)]]),
  );

  const known = ["dof", "elpd", "evidence", "deviance"].filter((name) => record[name]);

  const show = (x) => {
    const found = { lambda: Math.exp(x) };
    for (const name of known) found[name] = between(record[name], x);
    for (const [name, elements] of Object.entries(outs)) for (const one of elements) one.textContent = (name === "evidence" ? nats : format)(found[name]);
    rows.forEach((row, k) => {
      const value = between(record.coef[k], x);
      row.querySelector('[data-follows="coefficient"]').textContent = format(value);
      row.querySelector('[data-follows="standardised"]').textContent = format(value * record.unit[k]);
    });
    const share = (x - t[0]) / (t[last] - t[0]);
    for (const line of cursors) {
      const from = Number(line.dataset.start), to = Number(line.dataset.end), at = from + share * (to - from);
      line.setAttribute("x1", at);
      line.setAttribute("x2", at);
    }
    range.setAttribute("aria-valuetext", `lambda ${format(found.lambda)}`);
    for (const one of jumps) one.setAttribute("aria-pressed", String(Math.log(Number(one.dataset.path)) === x));
  };

  const place = () => t[0] + (Number(range.value) / Number(range.max)) * (t[last] - t[0]);
  range.addEventListener("input", () => show(place()));
  // to lambda itself, which may lie between two steps of the slider
  const go = (lambda) => {
    const x = Math.log(lambda);
    range.value = String(Math.round((Number(range.max) * (x - t[0])) / (t[last] - t[0])));
    show(x);
  };
  for (const button of jumps) button.addEventListener("click", () => go(Number(button.dataset.path)));
  window.bayesridgePath = { at: (lambda) => ({
    ...Object.fromEntries(known.map((name) => [name, between(record[name], Math.log(lambda))])),
    coefficients: record.coef.map((c) => between(c, Math.log(lambda))),
  }) };
  document.documentElement.classList.add("live");
  go(record.start);
})();
