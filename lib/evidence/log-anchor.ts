import { createPrivateKey, createPublicKey, KeyObject, sign, verify } from 'node:crypto';

/** What an anchor says of the log: one line of a file, signed. */
export interface LogAnchor {
  /** The position of the anchor before it; 0 for the first one. */
  readonly after: number;
  /** It covers the events after `after`, up to here. */
  readonly position: number;
  /** How many those are. */
  readonly events: number;
  /** The position after which every event had a hash. */
  readonly chainStart: number;
  /** Over the digest of the anchor before it, and the positions and hashes of its events. */
  readonly digest: string;
  /** The digest of the anchor before it. */
  readonly previous: string;
  /** When it was signed, by the clock of the process. */
  readonly time: string;
}

/** An Ed25519 key: an object of `node:crypto`, or its text in PEM. */
export type AnchorKey = string | KeyObject;

// The prefix keeps any other text that is signed with the same key from being taken for an anchor.
const signedText = (anchor: object): Buffer =>
  Buffer.from(`nest-event-store anchor 1\n${JSON.stringify(anchor)}`);

/** Returns the line of an anchor. */
export function signAnchor(anchor: LogAnchor, privateKey: KeyObject): string {
  const signature = sign(null, signedText(anchor), privateKey).toString('base64');
  return JSON.stringify({ ...anchor, signature });
}

/** Parses a line; returns `undefined` if it is no anchor or was not signed with this key. */
export function readAnchor(line: string, publicKey: KeyObject): LogAnchor | undefined {
  try {
    const { signature, ...anchor } = JSON.parse(line) as LogAnchor & { signature: string };
    const isSigned = verify(null, signedText(anchor), publicKey, Buffer.from(signature, 'base64'));
    return isSigned ? anchor : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the private key. @throws TypeError if it is not a private Ed25519 key. */
export function privateKeyOf(key: AnchorKey): KeyObject {
  return checkKind(key instanceof KeyObject ? key : createPrivateKey(key), 'private');
}

/** Returns the public key, also that of a private key. @throws TypeError if it is not an Ed25519 key. */
export function publicKeyOf(key: AnchorKey): KeyObject {
  const isPublic = key instanceof KeyObject && key.type === 'public';
  return checkKind(isPublic ? key : createPublicKey(key), 'public');
}

function checkKind(key: KeyObject, type: 'private' | 'public'): KeyObject {
  if (key.type === type && key.asymmetricKeyType === 'ed25519') return key;
  throw new TypeError(`Anchors need a ${type} Ed25519 key, not a ${key.type} one of another kind.`);
}
