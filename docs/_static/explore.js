"use strict";
// Ridge with two columns, x and x^2, centred and scaled, by one decomposition: with correlation rho the directions are
// (1, 1) and (1, -1) over sqrt 2, s^2 = n (1 +- rho), z = U'y, and given lambda
//   b_j = s_j z_j / (s_j^2 + lambda),  Q = r0 + sum_j z_j^2 lambda / (s_j^2 + lambda),  nu = n - 1
// The posterior of t = log lambda, prior R^2 = 2 / (2 + lambda) ~ Beta(1/2, 1/2), sigma integrated under 1/sigma^2:
//   p(t | y)  ~  sqrt(R^2 (1 - R^2)) prod_j (1 + s_j^2/lambda)^(-1/2) Q^(-nu/2)
(() => {
  const FIRST = [[0.06, -0.3], [0.14, 0.5], [0.22, -0.1], [0.33, 0.7], [0.42, 0.4], [0.5, 1.3], [0.61, 0.6], [0.72, 1.6], [0.83, 1.1], [0.93, 2.3]];
  const points = FIRST.map((p) => [...p]);
  const start = [-1.2, -0.9];
  let lambda = 1;

  // ---- mathematics ----
  // Gauss-Legendre, eight points: exact to rounding on panels half a unit wide, as the nearest poles are at Im t = +-pi
  const NODES = [0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363];
  const WEIGHTS = [0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763];
  const gauss = (a, b) => NODES.flatMap((x, i) => [-1, 1].map((sign) => [(a + b + sign * x * (b - a)) / 2, (WEIGHTS[i] * (b - a)) / 2]));
  const sum = (values) => values.reduce((a, b) => a + b, 0);

  // Student-t, whole degrees of freedom: density and distribution function (Abramowitz and Stegun 26.7.3-4)
  const studentCdf = (t, nu) => {
    const theta = Math.atan(t / Math.sqrt(nu)), sine = Math.sin(theta), cosine = Math.cos(theta);
    let term = nu % 2 ? cosine : 1, total = nu === 1 ? 0 : term;
    for (let k = nu % 2 ? 3 : 2; k <= nu - 2; k += 2) total += term *= ((k - 1) / k) * cosine * cosine;
    return 0.5 + 0.5 * (nu % 2 ? (2 / Math.PI) * (theta + sine * total) : sine * total);
  };
  const studentConstant = (nu) => {
    let c = nu % 2 ? 1 / Math.PI : 0.5;
    for (let k = nu % 2 ? 1 : 2; k < nu; k += 2) c *= (k + 1) / k;
    return c / Math.sqrt(nu);
  };

  const decompose = () => {
    const n = points.length, nu = n - 1;
    const columns = [points.map(([x]) => x), points.map(([x]) => x * x)], y = points.map((p) => p[1]);
    const mean = (v) => sum(v) / n;
    const means = columns.map(mean), middle = mean(y);
    const scales = columns.map((v, k) => Math.sqrt(mean(v.map((u) => (u - means[k]) ** 2))));
    const centred = columns.map((v, k) => v.map((u) => (u - means[k]) / scales[k])), yc = y.map((v) => v - middle);
    const across = (a, b) => sum(a.map((v, i) => v * b[i]));
    const rho = across(...centred) / n, cross = centred.map((v) => across(v, yc));
    const s2 = [n * (1 + rho), n * (1 - rho)];
    const z = [(cross[0] + cross[1]) / Math.SQRT2 / Math.sqrt(s2[0]), (cross[0] - cross[1]) / Math.SQRT2 / Math.sqrt(s2[1])];
    const least = z.map((v, j) => v / Math.sqrt(s2[j]));
    const fit = turn(least), r0 = sum(yc.map((v, i) => (v - centred[0][i] * fit[0] - centred[1][i] * fit[1]) ** 2));
    const fine = s2[0] > 0 && s2[1] > 1e-7 * n && r0 > 1e-12 * sum(yc.map((v) => v * v));
    return { n, nu, means, scales, middle, s2, z, least, r0, fine };
  };
  const turn = ([a, b]) => [(a + b) / Math.SQRT2, (a - b) / Math.SQRT2];  // to coefficients and back: its own inverse

  const Q = (d, lam) => d.r0 + sum(d.z.map((v, j) => (v * v) / (1 + d.s2[j] / lam)));
  const logPosterior = (d, t) => {
    const lam = Math.exp(t);
    return 0.5 * Math.log(2 * lam) - Math.log(2 + lam) - 0.5 * sum(d.s2.map((v) => Math.log1p(v / lam))) - 0.5 * d.nu * Math.log(Q(d, lam));
  };
  const ridge = (d, lam) => d.z.map((v, j) => (v * Math.sqrt(d.s2[j])) / (d.s2[j] + lam));

  const integrate = (d) => {
    const panels = Array.from({ length: 280 }, (_, k) => gauss(-70 + k / 2, -69.5 + k / 2));
    const logs = panels.map((panel) => panel.map(([t]) => logPosterior(d, t)));
    const top = Math.max(...logs.flat());
    const masses = panels.map((panel, k) => sum(panel.map(([, w], i) => w * Math.exp(logs[k][i] - top))));
    const total = sum(masses);
    const nodes = panels.flatMap((panel, k) => panel.map(([t, w], i) => ({ lam: Math.exp(t), weight: (w * Math.exp(logs[k][i] - top)) / total })))
      .filter(({ weight }) => weight > 1e-14);
    const density = (t) => Math.exp(logPosterior(d, t) - top) / total;
    const cdf = (t) => {
      const k = Math.min(Math.max(Math.floor(2 * (t + 70)), 0), 279);
      return sum(masses.slice(0, k)) / total + sum(gauss(-70 + k / 2, t).map(([u, w]) => w * density(u)));
    };
    return { nodes, density, cdf, quantile: (p) => Math.exp(solve(cdf, density, p, -70, 70)) };
  };

  // Newton inside a bracket
  const solve = (cdf, pdf, p, low, high, at = 0.5 * (low + high)) => {
    for (let k = 0; k < 80; k++) {
      const gap = cdf(at) - p;
      if (gap > 0) high = at; else low = at;
      const newton = at - gap / pdf(at), next = newton > low && newton < high ? newton : 0.5 * (low + high);
      if (Math.abs(next - at) < 1e-13 * (1 + Math.abs(next))) return next;
      at = next;
    }
    return at;
  };

  // the mixture over lambda of Student-t distributions at a place x
  const predict = (d, posterior, x, ps) => {
    const row = turn([(x - d.means[0]) / d.scales[0], (x * x - d.means[1]) / d.scales[1]]);
    const parts = posterior.nodes.map(({ lam, weight }) => {
      const middle = d.middle + sum(ridge(d, lam).map((b, j) => b * row[j]));
      return { weight, middle, scale: Math.sqrt((Q(d, lam) / d.nu) * (1 + 1 / d.n + sum(row.map((r, j) => (r * r) / (d.s2[j] + lam))))) };
    });
    const constant = studentConstant(d.nu);
    const cdf = (y) => sum(parts.map((p) => p.weight * studentCdf((y - p.middle) / p.scale, d.nu)));
    const pdf = (y) => sum(parts.map((p) => (p.weight * constant * (1 + ((y - p.middle) / p.scale) ** 2 / d.nu) ** (-0.5 * (d.nu + 1))) / p.scale));
    const mean = sum(parts.map((p) => p.weight * p.middle)), wide = Math.max(...parts.map((p) => p.scale + Math.abs(p.middle - mean)));
    return [mean, ...ps.map((p) => solve(cdf, pdf, p, mean - 100 * wide, mean + 100 * wide, mean + (p < 0.5 ? -2 : 2) * parts[parts.length >> 1].scale))];
  };

  // squared bias and variance of the fitted values per point, averaged over the posterior
  const risk = (d, posterior) => {
    const noise = (lam) => Q(d, lam) / (d.nu - 2);  // E[sigma^2 | lambda, y]
    const sigma2 = sum(posterior.nodes.map((k) => k.weight * noise(k.lam)));
    const squares = d.s2.map((v, j) => sum(posterior.nodes.map((k) => k.weight * (ridge(d, k.lam)[j] ** 2 + noise(k.lam) / (v + k.lam)))));
    return (lam) => ({
      variance: (sigma2 / d.n) * sum(d.s2.map((v) => 1 / (1 + lam / v) ** 2)),
      bias: sum(d.s2.map((v, j) => (v * squares[j]) / (1 + v / lam) ** 2)) / d.n,
    });
  };

  // ---- pictures ----
  const W = 420, H = 300, box = { left: 40, right: 410, top: 12, bottom: 268 };
  const SVG = "http://www.w3.org/2000/svg";
  const make = (name, attributes, parent, text) => {
    const element = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, String(value)));
    if (text !== undefined) element.textContent = text;
    parent?.append(element);
    return element;
  };
  const chart = (id, describe) => {
    const svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "group", "aria-label": describe }, document.getElementById(id));
    const clip = make("clipPath", { id: `${id}-clip` }, svg);
    make("rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top }, clip);
    const frame = make("g", { "aria-hidden": "true" }, svg), marks = make("g", { "clip-path": `url(#${id}-clip)`, "aria-hidden": "true" }, svg);
    return { svg, frame, marks, handles: make("g", {}, svg) };
  };
  const axes = (it, [x0, x1, y0, y1], names, ticks) => {
    it.x = (v) => box.left + ((v - x0) / (x1 - x0)) * (box.right - box.left);
    it.y = (v) => box.bottom - ((v - y0) / (y1 - y0)) * (box.bottom - box.top);
    it.back = (px, py) => [x0 + ((px - box.left) / (box.right - box.left)) * (x1 - x0), y0 + ((box.bottom - py) / (box.bottom - box.top)) * (y1 - y0)];
    it.frame.replaceChildren();
    it.marks.replaceChildren();
    make("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }, it.frame);
    (ticks?.x ?? round(x0, x1)).forEach(([v, words]) => make("text", { x: it.x(v), y: box.bottom + 14, "text-anchor": "middle" }, it.frame, words));
    (ticks?.y ?? round(y0, y1)).forEach(([v, words]) => make("text", { x: box.left - 5, y: it.y(v) + 4, "text-anchor": "end" }, it.frame, words));
    make("text", { x: (box.left + box.right) / 2, y: H - 4, "text-anchor": "middle" }, it.frame, names[0]);
    make("text", { x: box.left + 4, y: box.top + 9 }, it.frame, names[1]);
  };
  const round = (low, high) => {
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((m) => m * power >= rough * 0.999) * power;
    return Array.from({ length: 12 }, (_, k) => (Math.ceil(low / step) + k) * step).filter((v) => v <= high + 1e-9).map((v) => [v, format(v, 3)]);
  };
  const format = (v, digits = 3) => (Number.isNaN(v) ? "–" : v === 0 ? "0"
    : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-4 ? v.toExponential(digits - 1).replace("e+", "e") : String(Number(v.toPrecision(digits)))).replaceAll("-", "−");
  const decades = { x: [-4, -2, 0, 2, 4, 6].map((k) => [k * Math.LN10, k === 0 ? "1" : Math.abs(k) <= 2 ? format(10 ** k) : `1e${k}`.replace("-", "−")]) };
  const path = (it, xy, kind, close = "") => make("path", { class: `line ${kind}`, d: xy.length ? "M" + xy.map(([a, b]) => `${it.x(a).toFixed(2)} ${it.y(b).toFixed(2)}`).join("L") + close : "" }, it.marks);
  const grid = (low, high, many) => Array.from({ length: many + 1 }, (_, k) => low + ((high - low) * k) / many);
  const out = (name, text) => document.querySelectorAll(`[data-out="${name}"]`).forEach((e) => { e.textContent = text; });

  const LOW = Math.log(1e-4), HIGH = Math.log(1e6);
  const pictures = {
    data: chart("data", "points to drag, the fitted curve and the predictive band"),
    plane: chart("plane", "the plane of the two coefficients: loss, prior circle, ridge path, gradient descent"),
    posterior: chart("posterior", "posterior density of log lambda"),
    risk: chart("risk", "squared bias and variance over lambda"),
    decay: chart("decay", "distance to the solution by step"),
  };

  const handle = (it, kind, name, place, move) => {
    const mark = make(kind === "start" ? "rect" : "circle", { class: `handle ${kind}`, tabindex: 0, role: "button" }, it.handles);
    const set = () => {
      const [a, b] = place(), x = it.x(a), y = it.y(b);
      const at = kind === "start" ? { x: x - 7, y: y - 7, width: 14, height: 14 } : { cx: x, cy: y, r: 8 };
      Object.entries({ ...at, "aria-label": `${name}: ${format(a)}, ${format(b)}; arrow keys move it` }).forEach(([k, v]) => mark.setAttribute(k, String(v)));
    };
    const from = (event) => {
      const r = it.svg.getBoundingClientRect();
      return it.back(((event.clientX - r.left) / r.width) * W, ((event.clientY - r.top) / r.height) * H);
    };
    mark.addEventListener("pointerdown", (event) => { mark.setPointerCapture(event.pointerId); event.preventDefault(); mark.focus(); });
    mark.addEventListener("pointermove", (event) => { if (mark.hasPointerCapture(event.pointerId)) move(...from(event)); });
    mark.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const [a, b] = place(), [x0, y0] = it.back(box.left, box.bottom), [x1, y1] = it.back(box.right, box.top);
      move(a + (step[0] * (x1 - x0)) / 50, b + (step[1] * (y1 - y0)) / 50);
    });
    return set;
  };
  const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
  const setters = points.map((p, k) => handle(pictures.data, "point", `point ${k + 1}`, () => p, (x, y) => {
    p[0] = clamp(x, 0, 1);
    p[1] = clamp(y, -3, 4);
    learn();
  }));
  const setStart = handle(pictures.plane, "start", "start of gradient descent", () => start, (x, y) => {
    const [a, b] = pictures.plane.back(box.right, box.top);
    start[0] = clamp(x, -a, a);
    start[1] = clamp(y, -b, b);
    turnLambda();
  });

  // ---- what the data decide ----
  let d, posterior, band, errors;
  const state = {};
  const problem = document.getElementById("problem");
  const learn = () => {
    d = decompose();
    problem.textContent = d.fine ? "" : "These points do not tell x from x², or lie exactly on a parabola: move one.";
    if (d.fine) {
      posterior = integrate(d);
      band = grid(0, 1, 30).map((x) => [x, ...predict(d, posterior, x, [0.025, 0.975])]);
      errors = risk(d, posterior);
      const interval = [0.025, 0.975].map(posterior.quantile), median = posterior.quantile(0.5);
      const mean = turn([0, 1].map((j) => sum(posterior.nodes.map((k) => k.weight * ridge(d, k.lam)[j]))));
      Object.assign(state, { median, interval, band, coefficients: mean.map((b, k) => b / d.scales[k]) });
      out("median", format(median, 2));
      out("interval", interval.map((v) => format(v, 2)).join(" to "));
    } else {
      ["median", "interval"].forEach((name) => { delete state[name]; out(name, "–"); });
    }
    turnLambda();
  };

  // ---- what lambda decides ----
  const turnLambda = () => {
    axes(pictures.data, [-0.03, 1.03, -3, 4], ["x", "y"]);
    if (d.fine) {
      const { data } = pictures;
      make("path", { class: "band", d: "M" + [...band.map(([x, , , b]) => [x, b]), ...band.map(([x, , a]) => [x, a]).reverse()].map(([x, y]) => `${data.x(x)} ${data.y(y)}`).join("L") + "Z" }, data.marks);
      path(data, band.map(([x, mean]) => [x, mean]), "");
      const b = turn(ridge(d, lambda));
      path(data, grid(0, 1, 60).map((x) => [x, d.middle + (b[0] * (x - d.means[0])) / d.scales[0] + (b[1] * (x * x - d.means[1])) / d.scales[1]]), "now dash");
    }
    setters.forEach((set) => set());
    drawCurves();
    descend();
    out("dof", d.fine && valid.lambda ? format(sum(d.s2.map((v) => 1 / (1 + lambda / v)))) : "–");
    out("below", d.fine && valid.lambda ? `${(100 * posterior.cdf(Math.log(lambda))).toFixed(1)}%` : "–");
  };

  const drawCurves = () => {
    const { posterior: left, risk: right } = pictures;
    if (!d.fine) return [left, right].forEach((it) => it.marks.replaceChildren());
    const t = grid(LOW, HIGH, 160), heights = t.map(posterior.density), top = Math.max(...heights);
    axes(left, [LOW, HIGH, 0, 1.05 * top], ["λ, logarithmic", "density of log λ"], { ...decades, y: [] });
    make("path", { class: "band", d: `M${box.left} ${box.bottom}L` + t.map((v, k) => `${left.x(v)} ${left.y(heights[k])}`).join("L") + `L${box.right} ${box.bottom}Z` }, left.marks);
    path(left, t.map((v, k) => [v, heights[k]]), "");
    const found = t.map((v) => errors(Math.exp(v)));
    axes(right, [LOW, HIGH, 0, 1.15 * Math.max(...found.map((e) => e.bias + e.variance))], ["λ, logarithmic", "expected squared error"], decades);
    path(right, t.map((v, k) => [v, found[k].variance]), "thin");
    path(right, t.map((v, k) => [v, found[k].bias]), "third dash");
    path(right, t.map((v, k) => [v, found[k].bias + found[k].variance]), "now");
    if (valid.lambda) [left, right].forEach((it) => path(it, [[Math.log(lambda), 0], [Math.log(lambda), 1e9]], "now thin"));
  };

  // ---- gradient descent, drawn in the plane of the coefficients ----
  const valid = { lambda: true, rate: true, steps: true };
  const field = Object.fromEntries(["rate", "steps"].map((name) => [name, document.getElementById(name)]));
  const descend = () => {
    const { plane, decay } = pictures;
    const size = d.fine ? 1.25 * Math.max(...turn(d.least).map(Math.abs), 0.8) : 1;
    const B = [1, 1.5, 2, 3, 5, 8, 12, 20, 40, 100, 1000].find((v) => v >= size) ?? size;
    axes(plane, [-B * 1.445, B * 1.445, -B, B], ["coefficient of x (standardised)", "of x²"]);
    setStart();
    axes(decay, [0, 1, -1, 1], ["step", ""], { x: [], y: [-1, 0, 1].map((v) => [v, format(v)]) });
    ["strong", "weak", "alone"].forEach((name) => out(name, "–"));
    document.getElementById("reading").textContent = "";
    delete state.factors;
    delete state.path;
    if (!d.fine || !valid.lambda) return;
    const b = ridge(d, lambda), here = turn(b), circle = grid(0, 2 * Math.PI, 90);
    // one, two, three noise sds of loss, and the ellipse through the solution
    const levels = [1, 4, 9, 16].map((k) => (k * d.r0) / d.nu), touch = sum(b.map((v, j) => d.s2[j] * (v - d.least[j]) ** 2));
    [...levels, touch].forEach((c, k) => path(plane, circle.map((u) => turn([d.least[0] + Math.sqrt(c / d.s2[0]) * Math.cos(u), d.least[1] + Math.sqrt(c / d.s2[1]) * Math.sin(u)])), k < 4 ? "thin" : "", "Z"));
    const radius = Math.hypot(...b);
    make("circle", { class: "prior", cx: plane.x(0), cy: plane.y(0), r: plane.x(radius) - plane.x(0) }, plane.marks);
    path(plane, grid(LOW, HIGH, 120).map((t) => turn(ridge(d, Math.exp(t)))), "now thin");
    make("circle", { class: "dot", cx: plane.x(here[0]), cy: plane.y(here[1]), r: 6 }, plane.marks);
    Object.assign(state, { lambda, ridge: here, radius });
    if (!valid.rate || !valid.steps) return;

    const a = field.rate.valueAsNumber, steps = field.steps.valueAsNumber, off = turn(start).map((v, j) => v - b[j]);
    const factors = [...d.s2, 0].map((v) => 1 - 2 * a * (v + lambda));
    const walk = [];
    for (let k = 0; k <= steps; k++) {
      walk.push(turn(b.map((v, j) => v + off[j] * factors[j] ** k)));
      if (Math.hypot(...walk[k]) > 20 * B) break;  // it has left the picture for good
    }
    path(plane, walk, "third dots");
    walk.slice(0, 200).forEach(([x, y]) => make("circle", { class: "dot third", cx: plane.x(x), cy: plane.y(y), r: 2.6 }, plane.marks));
    axes(decay, [0, steps, factors.some((f) => f < 0) ? -1.1 : 0, 1.1], ["step", ""]);
    factors.forEach((f, j) => path(decay, grid(0, steps, Math.min(steps, 400)).map((k) => [k, Math.sign(f) ** Math.round(k) * Math.abs(f) ** Math.round(k)]).filter(([, v]) => Math.abs(v) < 3), ["", "third dash", "now dots"][j]));
    ["strong", "weak", "alone"].forEach((name, j) => out(name, format(factors[j], 4)));
    const halves = (f) => format(Math.log(0.5) / Math.log(Math.abs(f)), 2);
    document.getElementById("reading").textContent =
      factors[0] < -1 ? `The steps are too large: along the strong direction the weights swing out and diverge. Take a below 1/(s₁² + λ) = ${format(1 / (d.s2[0] + lambda))}.`
        : factors[0] === -1 ? "Along the strong direction the weights swing from side to side for ever."
          : `Half the way is done after ${factors[0] <= 0.5 && factors[0] >= -0.5 ? "one step" : `${halves(factors[0])} steps`} along the strong direction` +
            `${factors[0] < 0 ? " (swinging across)" : ""}, ${halves(factors[1])} along the weak one; a weight without data halves in ${halves(factors[2])}.`;
    Object.assign(state, { factors, path: walk });
  };

  // ---- controls ----
  const range = document.getElementById("lambda"), number = document.getElementById("lambda-number");
  const NAMES = { lambda: "λ", rate: "the learning rate", steps: "the number of steps" };
  const judge = (name, input) => {
    valid[name] = input.validity.valid && !Number.isNaN(input.valueAsNumber);
    if (valid[name]) input.removeAttribute("aria-invalid"); else input.setAttribute("aria-invalid", "true");
    document.getElementById("decay-problem").textContent = Object.entries(valid).filter(([, good]) => !good).map(([key]) => {
      const { min, max, step } = key === "lambda" ? number : field[key];
      return `${NAMES[key][0].toUpperCase() + NAMES[key].slice(1)} is a ${step === "1" ? "whole " : ""}number from ${min} to ${max}.`;
    }).join(" ");
  };
  const set = (value, keep) => {
    lambda = value;
    range.value = String(50 * Math.log10(value));
    range.setAttribute("aria-valuetext", `lambda ${format(value)}`);
    if (keep !== number) number.value = String(Number(value.toPrecision(3)));
    judge("lambda", number);
    turnLambda();
  };
  range.addEventListener("input", () => set(10 ** (range.valueAsNumber / 50)));
  number.addEventListener("input", () => {
    judge("lambda", number);
    if (valid.lambda) set(number.valueAsNumber, number); else turnLambda();
  });
  Object.entries(field).forEach(([name, input]) => input.addEventListener("input", () => { judge(name, input); turnLambda(); }));
  document.getElementById("textbook").addEventListener("click", () => {
    field.rate.value = "0.01";
    judge("rate", field.rate);
    set(0.1);
  });
  document.getElementById("reset").addEventListener("click", () => {
    FIRST.forEach((p, k) => { [points[k][0], points[k][1]] = p; });
    learn();
  });
  d = decompose();
  pictures.data.x = pictures.data.y = pictures.plane.x = pictures.plane.y = () => 0;
  posterior = integrate(d);
  lambda = Number(posterior.quantile(0.5).toPrecision(3));
  learn();
  set(lambda);
  window.explore = { state, points, predict: (x, ps) => predict(d, posterior, x, ps), errors: (lam) => errors(lam), cdf: (lam) => posterior.cdf(Math.log(lam)), set };
})();
