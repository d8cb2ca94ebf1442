import { open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AnchorFileError } from './evidence.errors.ts';

/** The lines of a file of anchors. */
export interface AnchorLines {
  readonly lines: readonly string[];
  /** The number of bytes that the complete lines take. */
  readonly bytes: number;
  /** Whether the file ends in half a line, whose write never succeeded. */
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

/** Like `readAnchorLines`, but returns no lines if the file does not exist yet. */
export async function readOrBegin(file: string): Promise<AnchorLines> {
  try {
    return await readAnchorLines(file);
  } catch (error) {
    const { code } = (error as AnchorFileError).cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw error;
    return { lines: [], bytes: 0, isTorn: false };
  }
}

/** Appends a line, overwriting half a line at the end of the file. Resolves once the line is on disk. */
export async function appendAnchorLine(
  file: string,
  { bytes, isTorn }: AnchorLines,
  line: string,
): Promise<void> {
  try {
    // The mode 'a' does not truncate the file, and creates it if it does not exist.
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

/** Syncs the directory, so that a new file still exists after a loss of power. */
async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open directories.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
