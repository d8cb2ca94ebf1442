import { open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AnchorFileError } from './evidence.errors.ts';

/** The lines of a file of anchors. */
export interface AnchorLines {
  readonly lines: readonly string[];
  /** How many bytes they take. */
  readonly bytes: number;
  /** Whether half a line follows: its write never succeeded. */
  readonly isTorn: boolean;
}

/** @throws AnchorFileError if it cannot be read. */
export async function readAnchorLines(file: string): Promise<AnchorLines> {
  try {
    const content = await readFile(file);
    const bytes = content.lastIndexOf('\n') + 1;
    const text = content.toString('utf8', 0, bytes);
    return { lines: text.split('\n').slice(0, -1), bytes, isTorn: bytes < content.length };
  } catch (cause) {
    throw new AnchorFileError(file, `cannot be read (${String(cause)})`, { cause });
  }
}

/** The same, where the first line is about to be written if there is no such file. */
export async function readOrBegin(file: string): Promise<AnchorLines> {
  try {
    return await readAnchorLines(file);
  } catch (error) {
    const { code } = (error as AnchorFileError).cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw error;
    return { lines: [], bytes: 0, isTorn: false };
  }
}

/** Appends a line, over half a line if there is one. Resolves once it is on the disk. */
export async function appendAnchorLine(
  file: string,
  { bytes, isTorn }: AnchorLines,
  line: string,
): Promise<void> {
  try {
    // Not truncated, and created if it is not there.
    const handle = await open(file, 'a');
    try {
      if (isTorn) await handle.truncate(bytes);
      await handle.writeFile(`${line}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (bytes === 0) await syncDirectory(dirname(file));
  } catch (cause) {
    throw new AnchorFileError(file, `cannot be written (${String(cause)})`, { cause });
  }
}

/** So that a new file is still there after a loss of power. */
async function syncDirectory(directory: string): Promise<void> {
  // Windows opens no directories.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
