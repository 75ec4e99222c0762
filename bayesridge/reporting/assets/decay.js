"use strict";
// One weight under gradient descent on lambda w^2 alone: w <- w - a 2 lambda w = (1 - 2 a lambda) w
(() => {
  const field = (name) => document.getElementById(`decay-${name}`);
  const inputs = ["rate", "lambda", "start", "steps"].map(field);
  const [path, dots, upper, lower] = ["path", "dots", "upper", "lower"].map(field);
  const box = { left: 46, right: 368, top: 24, bottom: 208 };

  const format = (v) => {
    if (!Number.isFinite(v)) return "beyond all numbers";
    const text = v !== 0 && (Math.abs(v) >= 1e6 || Math.abs(v) < 1e-4) ? v.toExponential(3) : String(Number(v.toPrecision(4)));
    return text.replaceAll("-", "−");
  };

  const describe = (factor, a, lambda) => {
    const size = Math.abs(factor);
    if (lambda === 0 || a === 0) return "Nothing pulls on the weight: it stays where it is.";
    if (size > 1) {
      return `The steps are too large: the weight changes sign at every step and grows without bound (it diverges). ` +
        `It shrinks only while a < 1/λ = ${format(1 / lambda)}.`;
    }
    if (size === 1) return "The weight jumps from side to side for ever, without getting smaller.";
    if (factor < 0) return "The weight oscillates: it overshoots zero and changes sign at every step, while getting smaller.";
    if (factor === 0) return "A single step takes the weight exactly to zero.";
    return `The weight decays smoothly; half of it is gone after ${format(Math.log(0.5) / Math.log(factor))} steps.`;
  };

  const state = {};
  const show = () => {
    const [a, lambda, start, many] = inputs.map((input) => input.valueAsNumber);
    const valid = inputs.map((input) => input.validity.valid && !Number.isNaN(input.valueAsNumber));
    inputs.forEach((input, k) => (valid[k] ? input.removeAttribute("aria-invalid") : input.setAttribute("aria-invalid", "true")));
    if (valid.includes(false)) return;
    const steps = Math.min(Math.max(Math.round(many), 1), 2000);
    const factor = 1 - 2 * a * lambda;
    const weights = [start];
    for (let k = 0; k < steps; k++) weights.push(weights[k] * factor);
    Object.assign(state, { factor, weights });

    // a diverging weight is shown until it leaves ten times its start
    const limit = Math.abs(factor) > 1 ? 10 * Math.abs(start) : Math.max(...weights.map(Math.abs));
    const top = weights.some((w) => w > 0) ? limit || 1 : 0, bottom = weights.some((w) => w < 0) ? -(limit || 1) : 0;
    const span = top - bottom || 1;
    const x = (k) => (box.left + ((box.right - box.left) * k) / steps).toFixed(1);
    const y = (w) => (box.bottom - ((box.bottom - box.top) * (w - bottom)) / span).toFixed(1);
    const seen = weights.findIndex((w) => Math.abs(w) > limit * (1 + 1e-12));
    const shown = seen < 0 ? weights : weights.slice(0, seen);
    path.setAttribute("d", "M" + shown.map((w, k) => `${x(k)} ${y(w)}`).join("L"));
    dots.setAttribute("d", shown.length <= 81 ? shown.map((w, k) => `M${x(k)} ${y(w)}h0`).join("") : "");
    const zero = field("zero");
    zero.setAttribute("y1", y(0));
    zero.setAttribute("y2", y(0));
    upper.textContent = format(top || 0);
    lower.textContent = format(bottom);
    field("last").textContent = String(steps);

    const factorOut = field("factor");
    factorOut.textContent = format(factor);
    factorOut.dataset.value = String(factor);
    const endOut = field("end");
    endOut.textContent = format(weights[steps]);
    endOut.dataset.value = String(weights[steps]);
    field("after").textContent = String(steps);
    field("reading").textContent = describe(factor, a, lambda);
  };

  inputs.forEach((input) => input.addEventListener("input", show));
  show();
  window.weightDecay = state;
})();
