import type { DateMembers } from '../domain-event.ts';

/** Where the Dates of a payload are: by member, with `''` for the items of an array. */
export interface DateTree {
  readonly isDate: boolean;
  readonly members: ReadonlyMap<string, DateTree>;
}

interface GrowingTree extends DateTree {
  isDate: boolean;
  readonly members: Map<string, GrowingTree>;
}

const segment = '(?!__proto__(?:[.[]|$))[^.[\\]]+(?:\\[\\])*';
const path = new RegExp(`^${segment}(?:\\.${segment})*$`);

/** Says whether this is a path such as `submittedAt`, `offer.sentAt` or `lines[].shippedAt`. */
export function isDatePath(text: unknown): boolean {
  return typeof text === 'string' && path.test(text);
}

const trees = new WeakMap<readonly string[], DateTree>();

/** Returns the tree of these paths, cached for each list; `undefined` if there are no paths. */
export function dateTreeOf(paths: DateMembers): DateTree | undefined {
  if (paths === 'schema' || paths.length === 0) return undefined;
  const known = trees.get(paths);
  if (known !== undefined) return known;
  const root: GrowingTree = { isDate: false, members: new Map() };
  for (const steps of paths.map((text) => text.replaceAll('[]', '.').split('.'))) {
    let node = root;
    for (const step of steps) {
      const next = node.members.get(step) ?? { isDate: false, members: new Map() };
      node.members.set(step, next);
      node = next;
    }
    node.isDate = true;
  }
  trees.set(paths, root);
  return root;
}

/**
 * Turns the strings at these paths into Dates, in place.
 *
 * A value that is not a string stays as it is: a member may be null or absent.
 *
 * @throws RangeError if a string is not a date.
 */
export function reviveDates(payload: object, paths: DateMembers): void {
  const tree = dateTreeOf(paths);
  if (tree !== undefined) reviveMembers(payload as Record<string, unknown>, tree);
}

function reviveMembers(value: Record<string, unknown>, tree: DateTree): void {
  for (const [member, next] of tree.members) {
    const keys = member === '' && Array.isArray(value) ? Object.keys(value) : [member];
    for (const key of keys) {
      const found = value[key];
      if (typeof found === 'string' && next.isDate) value[key] = toDate(found);
      else if (typeof found === 'object' && found !== null) {
        reviveMembers(found as Record<string, unknown>, next);
      }
    }
  }
}

function toDate(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new RangeError('A member declared in `dates` is no date.');
  return date;
}
