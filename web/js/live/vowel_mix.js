// An open mouth as a mix of four vowels: the library's tha4_core/motion/tracking/vowel_mix.py, one point at a time.

const FREE = 0;
const ALL = 2;

/**
 * Makes the function that mixes: a point `[open, lip lowered, funnel, pucker]` to the weights of a, i, u, o, each 0..1.
 * `columns` are what the four vowels look like as such points.
 *
 * The weights minimise ‖mix - point‖₂ + sparsity · ‖weights‖₁. The problem is convex, and once it is known which weights
 * are 0, which 1 and which between, it has a closed form: all 81 cases are tried.
 */
export function vowelMixer({ columns, sparsity }) {
  const cases = Array.from({ length: 81 }, (_, number) => prepare(columns, sparsity, number)).filter(Boolean);
  return (point) => {
    let best = [0, 0, 0, 0];
    let lowest = Infinity;
    for (const one of cases) {
      const weights = solve(one, columns, sparsity, point);
      if (weights.some((weight) => weight < -1e-12 || weight > 1 + 1e-12)) continue;
      const cost = norm(minus(point, mixed(columns, weights))) + sparsity * sum(weights.map(Math.abs));
      if (cost < lowest) [best, lowest] = [weights, cost];
    }
    return best.map((weight) => Math.min(1, Math.max(0, weight)));
  };
}

/** What does not depend on the point. Null where the free weights run away. */
function prepare(columns, sparsity, number) {
  const kinds = [0, 1, 2, 3].map((i) => Math.floor(number / 3 ** i) % 3);
  const free = kinds.flatMap((kind, i) => (kind === FREE ? [i] : []));
  const fixed = kinds.map((kind) => (kind === ALL ? 1 : 0));
  const ones = mixed(columns, fixed);
  if (!free.length) return { free, fixed, ones };
  const inverse = inverted(free.map((i) => free.map((j) => dot(columns[i], columns[j]))));
  const direction = inverse.map(sum);
  const bend = 1 - sparsity ** 2 * sum(direction);
  if (bend <= 0) return null;
  // The pseudo-inverse of the free columns, and how far the weights lie off the least-squares solution.
  const solution = inverse.map((row) => [0, 1, 2, 3].map((k) => sum(row.map((share, j) => share * columns[free[j]][k]))));
  return { free, fixed, ones, solution, direction, bend: Math.sqrt(bend) };
}

function solve({ free, fixed, ones, solution, direction, bend }, columns, sparsity, point) {
  const weights = [...fixed];
  if (!free.length) return weights;
  const wanted = minus(point, ones);
  const nearest = solution.map((row) => dot(row, wanted));
  const reached = [0, 1, 2, 3].map((k) => sum(nearest.map((share, j) => share * columns[free[j]][k])));
  const residual = norm(minus(reached, wanted)) / bend;
  free.forEach((i, j) => (weights[i] = nearest[j] - sparsity * residual * direction[j]));
  return weights;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const dot = (a, b) => sum(a.map((value, i) => value * b[i]));
const minus = (a, b) => a.map((value, i) => value - b[i]);
const norm = (values) => Math.sqrt(dot(values, values));
const mixed = (columns, weights) => [0, 1, 2, 3].map((k) => sum(weights.map((weight, i) => weight * columns[i][k])));

/** The inverse of a small symmetric positive matrix, by Gauss and Jordan. */
function inverted(matrix) {
  const size = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < size; i += 1) {
    rows[i] = rows[i].map((value) => value / rows[i][i]);
    for (let k = 0; k < size; k += 1) {
      if (k !== i) rows[k] = rows[k].map((value, j) => value - rows[k][i] * rows[i][j]);
    }
  }
  return rows.map((row) => row.slice(size));
}
