import { InvalidEventError } from '../events.errors.ts';
import { formatDatePath, formatPath, type PathStep } from './payload-path.ts';

/** The current place of a walk through a payload; made for speed, because it moves with every member. */
export class PayloadCursor {
  /** The number of steps from the root to this place. */
  depth = 0;
  // Only the first `depth` entries of both are current; the rest is stale.
  readonly #steps: PathStep[] = [];
  readonly #ancestors: object[] = [];
  readonly #type: string | undefined;
  readonly #root: string;

  constructor(type: string | undefined, root: string) {
    this.#type = type;
    this.#root = root;
  }

  /** Moves to a member or an item of the object at `depth`. */
  enter(depth: number, step: PathStep): void {
    this.#steps[depth] = step;
    this.depth = depth + 1;
  }

  /** Remembers the object at this point. */
  mark(value: object): void {
    this.#ancestors[this.depth] = value;
  }

  /** What toJSON receives: the member's key, the item's index, or nothing for the payload itself. */
  get key(): string {
    return this.depth === 0 ? '' : String(this.#steps[this.depth - 1]);
  }

  /** @throws InvalidEventError always. */
  refuse(reason: string, cause?: unknown): never {
    const options = cause === undefined ? undefined : { cause };
    throw new InvalidEventError(this.#type, this.#pathAt(this.depth), reason, options);
  }

  /** @throws InvalidEventError always: at the first circular reference, or else near the root. */
  refuseDepth(maxDepth: number): never {
    const chain = this.#ancestors.slice(0, this.depth + 1);
    const again = chain.findIndex((value, index) => chain.indexOf(value) < index);
    if (again === -1) {
      this.depth = Math.min(this.depth, 5);
      this.refuse(`leads deeper than maxDepth (${maxDepth}); flatten it, or raise maxDepth`);
    }
    const first = this.#pathAt(chain.indexOf(chain[again]!));
    this.depth = again;
    return this.refuse(`refers back to ${first}; store an id instead of the object`);
  }

  /** @throws InvalidEventError always, with the missing declaration. */
  refuseUndeclaredDate(): never {
    const problem = 'is a Date that is not declared and would come back as a string';
    if (this.#type === undefined || this.#root !== '$') {
      this.refuse(`${problem}; use its toISOString()`);
    }
    const path = formatDatePath(this.#steps.slice(0, this.depth));
    return this.refuse(`${problem}; add it to @DomainEvent(…, { dates: ['${path}'] })`);
  }

  #pathAt(depth: number): string {
    return formatPath(this.#steps.slice(0, depth), this.#root);
  }
}
