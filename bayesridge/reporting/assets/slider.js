"use strict";
// The ridge fit at any lambda, from the singular value decomposition that the page carries:
//   b_j = s_j z_j / (s_j^2 + lambda),   quantity = unit (offset + loadings . b),   f_j = s_j^2 / (s_j^2 + lambda)
//   variance = scale^2 unit^2 [fixed + sum_j loadings_j^2 / (s_j^2 + lambda) + null / lambda]
(() => {
  const record = JSON.parse(document.getElementById("slider-data").textContent);

  const unpack = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float64Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
  };
  const s = unpack(record.s), z = unpack(record.z), rank = record.rank;
  const s2 = s.map((v) => v * v), z2 = z.map((v) => v * v);
  const unpackAll = (parts) => parts && Object.fromEntries(Object.entries(parts).map(([key, v]) => [key, unpack(v)]));
  const coefficientMap = unpackAll(record.coefficients), interceptMap = unpackAll(record.intercept);
  const below = record.below && unpack(record.below);
  const errors = record.errors && Object.fromEntries(
    Object.entries(record.errors).map(([key, v]) => [key, typeof v === "string" && key !== "kind" ? unpack(v) : v]),
  );

  const dot = (a, start, b) => {
    let sum = 0;
    for (let j = 0; j < b.length; j++) sum += a[start + j] * b[j];
    return sum;
  };

  // Clenshaw's sum of a Chebyshev series
  const series = (c, x) => {
    let one = 0, two = 0;
    for (let k = c.length - 1; k > 0; k--) [one, two] = [2 * x * one - two + c[k], one];
    return x * one - two + c[0];
  };

  const rowErrors = (lambda, shrink) => {
    if (!errors) return { train: NaN, loo: NaN };
    if (lambda === 0 || lambda === Infinity) {
      const [train, loo] = errors.ends[Number(lambda > 0)].map((v) => v ?? NaN);
      return { train, loo };
    }
    if (errors.kind === "series") {
      const x = (2 * Math.log(lambda) - record.low - record.high) / (record.high - record.low);
      return { train: Math.exp(0.5 * series(errors.train, x)), loo: Math.exp(0.5 * series(errors.loo, x)) };
    }
    const { U, residual, rest, share } = errors;
    let train = 0, loo = 0;
    for (let i = 0; i < share.length; i++) {
      let e = residual[i], keep = rest[i];
      for (let j = 0; j < rank; j++) {
        const u = U[i * rank + j];
        e += u * shrink[j] * z[j];
        keep += u * u * shrink[j];
      }
      if (share[i] === 0) continue;
      train += share[i] * e * e;
      loo += share[i] * (e / keep) ** 2;
    }
    return { train: Math.sqrt(train), loo: Math.sqrt(loo) };
  };

  const probabilityBelow = (lambda) => {
    if (!below) return NaN;
    if (lambda === 0 || lambda === Infinity) return Number(lambda > 0);
    const at = ((Math.log(lambda) - record.low) / (record.high - record.low)) * (below.length - 1);
    const k = Math.min(Math.max(Math.floor(at), 0), below.length - 2);
    return below[k] + (at - k) * (below[k + 1] - below[k]);
  };

  // linear functionals of the coefficients with their intervals, none where sigma is not conjugate
  const functionals = (map, lambda, b, Q) => {
    const noise = lambda > 0 || !record.noise || record.noise.sigma2 ? record.noise : record.noise.least;
    const squared = noise && (noise.sigma2 ?? (Q + noise.rate) / noise.df);
    const value = Array.from(map.offset, (v, k) => v + dot(map.loadings, k * rank, b));
    const half = Array.from(map.fixed, (fixed, k) => {
      if (!noise) return NaN;
      let sum = fixed + (map.null[k] > 0 ? map.null[k] / lambda : 0);
      for (let j = 0; j < rank; j++) sum += map.loadings[k * rank + j] ** 2 / (s2[j] + lambda);
      return noise.t * Math.sqrt(squared * sum);
    });
    const all = (of) => of.map((v, k) => v * map.unit[k]);
    return { value: all(value), low: all(value.map((v, k) => v - half[k])), high: all(value.map((v, k) => v + half[k])) };
  };

  // everything at one lambda, O(rank) for each number
  const at = (lambda) => {
    const filter = s2.map((v) => 1 / (1 + lambda / v));
    const shrink = s2.map((v) => 1 / (1 + v / lambda));
    const b = s.map((v, j) => (v * z[j]) / (s2[j] + lambda));
    const Q = record.r0 + dot(shrink, 0, z2);
    let logDet = record.logDet;
    for (let j = 0; j < rank; j++) logDet += Math.log1p(s2[j] / lambda);
    const logEvidence = -0.5 * record.nu * (Math.log((2 * Math.PI * Q) / record.nu) + 1) - 0.5 * logDet;
    const found = functionals(coefficientMap, lambda, b, Q);
    const constant = interceptMap ? functionals(interceptMap, lambda, b, Q) : { value: [0], low: [0], high: [0] };
    const { train, loo } = rowErrors(lambda, shrink);
    return {
      lambda, filter,
      standardized: found.value.map((v, k) => v / coefficientMap.unit[k]),
      coefficients: found.value, low: found.low, high: found.high,
      intercept: constant.value[0], interceptLow: constant.low[0], interceptHigh: constant.high[0],
      effectiveDof: filter.reduce((sum, f) => sum + f, 0),
      penalizedRss: Q,
      trainRmse: train,
      looRmse: loo,
      logEvidence,
      relativeEvidence: logEvidence - record.bestEvidence,
      probabilityBelow: probabilityBelow(lambda),
    };
  };

  // four significant digits, as the rest of the page writes them, or as many as are asked for
  const format = (value, digits = 4) => {
    if (Number.isNaN(value)) return "–";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    if (value === 0) return "0";
    const size = Math.abs(value);
    const text = size >= 1e6 || size < 1e-4
      ? value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e")
      : String(Number(value.toPrecision(digits)));
    return text.replaceAll("-", "−");
  };
  // with the decimals that the posterior sd leaves
  const rounded = (value, decimals) => {
    if (decimals === "" || !Number.isFinite(value) || value === 0) return format(value);
    if (Math.abs(value) >= 1e6 || decimals > 6) {
      return format(value, Math.min(Math.max(Math.floor(Math.log10(Math.abs(value))) + decimals + 1, 1), 15));
    }
    const unit = 10 ** -decimals;
    const text = decimals > 0 ? value.toFixed(decimals) : String(Math.round(value / unit) * unit);
    return (Number(text) === 0 ? text.replace("-", "") : text).replaceAll("-", "−");
  };
  const percent = (p) => (Number.isNaN(p) ? "–" : p < 0.001 ? "<0.1%" : p > 0.999 ? ">99.9%" : (100 * p).toFixed(1) + "%");
  const written = {
    lambda: (v) => format(v, 3), effectiveDof: (v) => format(v, 3), probabilityBelow: percent,
    relativeEvidence: (v) => rounded(v, 2),
  };

  const range = document.getElementById("lambda-range");
  const number = document.getElementById("lambda-number");
  const hint = document.getElementById("lambda-hint");
  const live = document.getElementById("lambda-live");
  const cursors = [...document.querySelectorAll("line.cursor")];
  const dots = [...document.querySelectorAll("circle.on-curve")];
  const rows = [...document.querySelectorAll("tr[data-row]")].map((row) => ({
    key: row.dataset.row,
    decimals: row.dataset.decimals === "" ? "" : Number(row.dataset.decimals),
    value: row.querySelector("[data-out=value]"),
    ends: row.querySelector("[data-out=ends]"),
    mark: row.querySelector("circle.live"),
    line: row.querySelector("path.live"),
  }));
  const jumps = [...document.querySelectorAll("button[data-jump]")];
  const outs = (name) => [...document.querySelectorAll(`[data-out="${name}"]`)];
  const single = Object.fromEntries(
    ["effectiveDof", "trainRmse", "looRmse", "relativeEvidence", "probabilityBelow", "lambda"].map(
      (name) => [name, outs(name)],
    ),
  );
  const filterPath = document.getElementById("filter-live");

  const write = (element, value, text) => {
    if (!element) return;
    element.textContent = text;
    element.dataset.value = String(value);
  };

  const place = (share, low, high) => low + share * (high - low);

  const drawMark = ({ mark, line }, value, ends) => {
    if (!mark) return;
    const [low, high, start, end] = ["low", "high", "start", "end"].map((name) => Number(mark.dataset[name]));
    const share = (v) => Math.min(Math.max((v - low) / (high - low), 0), 1);
    mark.setAttribute("cx", String(place(share(value), start, end)));
    mark.classList.toggle("outside", value < low || value > high);
    const [a, b] = ends.map((v) => place(share(v), start, end));
    line.setAttribute("d", ends.some(Number.isNaN) ? "" : `M${a} ${mark.getAttribute("cy")}H${b}`);
  };

  const drawFilter = (filter) => {
    if (!filterPath || rank === 0) return;
    const { left, right, top, bottom, steps } = filterPath.dataset;
    const step = (right - left) / rank;
    const y = (f) => place(f, Number(bottom), Number(top)).toFixed(2);
    let d = `M${left} ${bottom}`;
    filter.forEach((f, j) => {
      const x = (share) => (Number(left) + (j + share) * step).toFixed(2);
      d += steps === "1" ? `L${x(0)} ${y(f)}H${x(1)}` : `${j ? "" : `V${y(f)}`}L${x(0.5)} ${y(f)}${j === rank - 1 ? `H${right}` : ""}`;
    });
    filterPath.setAttribute("d", d + `V${bottom}Z`);
  };

  let state, speak;
  const show = (lambda) => {
    state = at(lambda);
    const share = Math.min(Math.max((Math.log(lambda) - record.low) / (record.high - record.low), 0), 1);
    const name = lambda === 0 ? "least squares, lambda 0" : lambda === Infinity ? "lambda infinite" : `lambda ${format(lambda, 3)}`;
    range.setAttribute("aria-valuetext", name);
    jumps.forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.jump) === lambda)));
    for (const [key, elements] of Object.entries(single)) {
      elements.forEach((element) => write(element, state[key], (written[key] ?? format)(state[key])));
    }
    rows.forEach((row) => {
      const k = row.key;
      const value = k === "intercept" ? state.intercept : state.coefficients[k];
      const ends = k === "intercept" ? [state.interceptLow, state.interceptHigh] : [state.low[k], state.high[k]];
      write(row.value, value, rounded(value, row.decimals));
      write(row.ends, ends, ends.some(Number.isNaN) ? "–" : ends.map((v) => rounded(v, row.decimals)).join(" to "));
      const unit = coefficientMap.unit[k];
      drawMark(row, value / unit, ends.map((v) => v / unit));
    });
    cursors.forEach((line) => {
      const x = String(place(share, Number(line.dataset.start), Number(line.dataset.end)));
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    });
    dots.forEach((mark) => {
      const { start, end, low, high, top, bottom, value } = mark.dataset;
      const up = Math.min(Math.max((state[value] - low) / (high - low), 0), 1);
      mark.setAttribute("cx", String(place(share, Number(start), Number(end))));
      mark.setAttribute("cy", String(place(up || 0, Number(bottom), Number(top))));
    });
    drawFilter(state.filter);
    // said once the slider has come to rest
    clearTimeout(speak);
    speak = setTimeout(() => {
      live.textContent = `${name}: effective degrees of freedom ${format(state.effectiveDof)}, ` +
        `leave-one-out RMSE ${format(state.looRmse)}`;
    }, 500);
  };

  const { steps, gap } = record;
  const settle = (lambda, { keepNumber = false, keepRange = false } = {}) => {
    const at = steps * (Math.log(lambda) - record.low) / (record.high - record.low);
    last = lambda === 0 ? -gap : lambda === Infinity ? steps + gap : Math.min(Math.max(Math.round(at), 0), steps);
    if (!keepRange) range.value = String(last);
    if (!keepNumber) number.value = Number.isFinite(lambda) ? String(Number(lambda.toPrecision(3))) : "";
    number.removeAttribute("aria-invalid");
    hint.hidden = true;
    show(lambda);
  };

  // between the ends and lambda = 0 or infinity there is nothing: a key leaps over it, a finger goes to what is nearer
  let last = 0, byKey = false;
  range.addEventListener("keydown", () => { byKey = true; });
  range.addEventListener("pointerdown", () => { byKey = false; });
  range.addEventListener("input", () => {
    let step = range.valueAsNumber;
    if (step < 0) step = (byKey ? last >= 0 : step < -gap / 2) ? -gap : 0;
    if (step > steps) step = (byKey ? last <= steps : step > steps + gap / 2) ? steps + gap : steps;
    range.value = String(step);
    if (step < 0 || step > steps) settle(step < 0 ? 0 : Infinity, { keepRange: true });
    // the ends are exactly those of the record, whatever rounding does in between
    else settle(Math.exp(step === steps ? record.high : record.low + (step / steps) * (record.high - record.low)), { keepRange: true });
  });
  number.addEventListener("input", () => {
    const lambda = number.valueAsNumber;
    const inside = lambda >= Math.exp(record.low) * (1 - 1e-9) && lambda <= Math.exp(record.high) * (1 + 1e-9);
    if (inside || lambda === 0) settle(lambda, { keepNumber: true });
    else {
      number.setAttribute("aria-invalid", "true");
      hint.hidden = false;
    }
  });
  jumps.forEach((button) => {
    button.addEventListener("click", () => settle(Number(button.dataset.jump)));
  });

  document.documentElement.classList.add("live");
  window.bayesridge = { at, get state() { return state; }, set: settle };
  settle(record.start);
})();
