/**
 * Repeats an append without an expectation until the store takes it, as an application would have to.
 *
 * For stores that answer with a conflict when others append to the same aggregate at the same time.
 * Returns the number of conflicts.
 */
export async function resolveConflicts(
  append: () => Promise<unknown>,
  isConflict: (error: Error) => boolean,
): Promise<number> {
  for (let conflicts = 0; ; conflicts++) {
    try {
      await append();
      return conflicts;
    } catch (error) {
      if (!(error instanceof Error && isConflict(error))) throw error;
    }
  }
}
