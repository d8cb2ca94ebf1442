/** Imports a package that need not be installed, so that the compiler must not look for it. */
export async function importPeer<Exports>(name: string): Promise<Exports> {
  return (await import(name)) as Exports;
}
