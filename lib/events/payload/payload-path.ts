/** One step into a payload: a member's key or the index of an item. */
export type PathStep = string | number;

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** Returns where these steps lead, such as `$.lines[2].sku` or `$["a b"]`. */
export function formatPath(steps: readonly PathStep[], root = '$'): string {
  return root + steps.map(formatStep).join('');
}

/** Returns the path under which `dates` declares a member: `lines[].shippedAt`. */
export function formatDatePath(steps: readonly PathStep[]): string {
  return steps
    .map((step) => (typeof step === 'number' ? '[]' : `.${step}`))
    .join('')
    .replace(/^\./, '');
}

function formatStep(step: PathStep): string {
  if (typeof step === 'number') return `[${step}]`;
  // A key may be as long as a payload; the beginning is enough to find it.
  const key = step.length > 64 ? `${step.slice(0, 64)}…` : step;
  return identifier.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
