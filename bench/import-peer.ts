/** Imports a package that may not be installed, by a name that the compiler does not resolve. */
export async function importPeer<Exports>(name: string): Promise<Exports> {
  return (await import(name)) as Exports;
}
