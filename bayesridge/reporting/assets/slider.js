"use strict";
// The ridge fit at any lambda, from the singular value decomposition that the page carries:
//   b_j = s_j z_j / (s_j^2 + lambda),   quantity = unit (offset + loadings . b),   f_j = s_j^2 / (s_j^2 + lambda)
(() => {
  const record = JSON.parse(document.getElementById("slider-data").textContent);

  const unpack = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float64Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
  };
  const s = unpack(record.s), z = unpack(record.z), rank = record.rank;
  const s2 = s.map((v) => v * v), z2 = z.map((v) => v * v);
  const offset = unpack(record.offset), loadings = unpack(record.loadings), unit = unpack(record.unit);
  const intercept = record.intercept && { offset: record.intercept.offset, loadings: unpack(record.intercept.loadings) };
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
    if (errors.kind === "series") {
      const x = (2 * Math.log(lambda) - record.low - record.high) / (record.high - record.low);
      return { train: Math.exp(0.5 * series(errors.train, x)), loo: Math.exp(0.5 * series(errors.loo, x)) };
    }
    const { U, residual, rest, share } = errors;
    let train = 0, loo = 0;
    for (let i = 0; i < errors.n; i++) {
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
    const at = ((Math.log(lambda) - record.low) / (record.high - record.low)) * (below.length - 1);
    const k = Math.min(Math.max(Math.floor(at), 0), below.length - 2);
    return below[k] + (at - k) * (below[k + 1] - below[k]);
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
    const standardized = Array.from(offset, (v, k) => v + dot(loadings, k * rank, b));
    const { train, loo } = rowErrors(lambda, shrink);
    return {
      lambda, filter, standardized,
      coefficients: standardized.map((v, k) => v * unit[k]),
      intercept: intercept ? intercept.offset + dot(intercept.loadings, 0, b) : 0,
      effectiveDof: filter.reduce((sum, f) => sum + f, 0),
      penalizedRss: Q,
      trainRmse: train,
      looRmse: loo,
      logEvidence,
      relativeEvidence: logEvidence - record.bestEvidence,
      probabilityBelow: probabilityBelow(lambda),
    };
  };

  // four significant digits, as the rest of the page writes them
  const format = (value) => {
    if (Number.isNaN(value)) return "–";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    if (value === 0) return "0";
    const size = Math.abs(value);
    const text = size >= 1e6 || size < 1e-4
      ? value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e")
      : String(Number(value.toPrecision(4)));
    return text.replaceAll("-", "−");
  };
  const percent = (p) => (Number.isNaN(p) ? "–" : p < 0.001 ? "<0.1%" : p > 0.999 ? ">99.9%" : (100 * p).toFixed(1) + "%");

  const range = document.getElementById("lambda-range");
  const number = document.getElementById("lambda-number");
  const hint = document.getElementById("lambda-hint");
  const live = document.getElementById("lambda-live");
  const cursors = [...document.querySelectorAll("line.cursor")];
  const dots = [...document.querySelectorAll("circle.on-curve")];
  const rows = [...document.querySelectorAll("tr[data-column]")].map((row) => ({
    coefficient: row.querySelector("[data-out=coefficient]"),
    standardized: row.querySelector("[data-out=standardized]"),
    mark: row.querySelector("circle.live"),
  }));
  const outs = (name) => [...document.querySelectorAll(`[data-out="${name}"]`)];
  const single = Object.fromEntries(
    ["effectiveDof", "trainRmse", "looRmse", "relativeEvidence", "probabilityBelow", "intercept", "lambda"].map(
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

  const drawMark = (mark, value) => {
    if (!mark) return;
    const { low, high, start, end } = mark.dataset;
    const share = (value - low) / (high - low);
    mark.setAttribute("cx", String(place(Math.min(Math.max(share, 0), 1), Number(start), Number(end))));
    mark.classList.toggle("outside", share < 0 || share > 1);
  };

  const drawFilter = (filter) => {
    if (!filterPath || rank === 0) return;
    const { left, right, top, bottom } = filterPath.dataset;
    const step = (right - left) / rank;
    const y = (f) => place(f, Number(bottom), Number(top)).toFixed(2);
    let d = `M${left} ${bottom}`;
    filter.forEach((f, j) => {
      d += `L${(Number(left) + j * step).toFixed(2)} ${y(f)}H${(Number(left) + (j + 1) * step).toFixed(2)}`;
    });
    filterPath.setAttribute("d", d + `V${bottom}Z`);
  };

  let state, speak;
  const show = (lambda) => {
    state = at(lambda);
    const share = (Math.log(lambda) - record.low) / (record.high - record.low);
    range.setAttribute("aria-valuetext", `lambda ${format(lambda)}`);
    for (const [name, elements] of Object.entries(single)) {
      const text = name === "probabilityBelow" ? percent(state[name]) : format(state[name]);
      elements.forEach((element) => write(element, state[name], text));
    }
    rows.forEach((row, k) => {
      write(row.coefficient, state.coefficients[k], format(state.coefficients[k]));
      write(row.standardized, state.standardized[k], format(state.standardized[k]));
      drawMark(row.mark, state.standardized[k]);
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
      live.textContent = `lambda ${format(lambda)}: effective degrees of freedom ${format(state.effectiveDof)}, ` +
        `leave-one-out RMSE ${format(state.looRmse)}`;
    }, 500);
  };

  const set = (lambda, { keepNumber = false } = {}) => {
    range.value = String((range.max * (Math.log(lambda) - record.low)) / (record.high - record.low));
    if (!keepNumber) number.value = String(Number(lambda.toPrecision(6)));
    number.removeAttribute("aria-invalid");
    hint.hidden = true;
    show(lambda);
  };

  range.addEventListener("input", () => {
    // the ends are exactly those of the record, whatever rounding does in between
    const share = range.valueAsNumber / range.max;
    const lambda = Math.exp(share === 1 ? record.high : record.low + share * (record.high - record.low));
    number.value = String(Number(lambda.toPrecision(6)));
    number.removeAttribute("aria-invalid");
    hint.hidden = true;
    show(lambda);
  });
  number.addEventListener("input", () => {
    const lambda = number.valueAsNumber;
    const inside = lambda >= Math.exp(record.low) * (1 - 1e-9) && lambda <= Math.exp(record.high) * (1 + 1e-9);
    if (inside) set(lambda, { keepNumber: true });
    else {
      number.setAttribute("aria-invalid", "true");
      hint.hidden = false;
    }
  });
  document.querySelectorAll("button[data-jump]").forEach((button) => {
    button.addEventListener("click", () => set(Number(button.dataset.jump)));
  });

  document.documentElement.classList.add("live");
  window.bayesridge = { at, get state() { return state; }, set };
  set(record.start);
})();
