import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * What happens to a request on its way:
 *
 * - `lost`: it does not arrive, and the connection is reset;
 * - `reply-lost`: the server answers it, and the connection is reset instead of the answer;
 * - `left-behind`: the connection is reset, and the server works on it still;
 * - `swallowed`: it does not arrive, and nothing comes through any more, either way;
 * - `reply-swallowed`: the server answers it, and nothing comes through any more.
 */
export type Interference = 'lost' | 'reply-lost' | 'left-behind' | 'swallowed' | 'reply-swallowed';

/** One connection through the proxy. */
export interface ProxiedConnection {
  readonly isOpen: boolean;
  /** Whether the client has sent this text not long ago. */
  hasSent(text: string): boolean;
  /** Drops everything from now on, in both directions, and closes nothing: a half-open socket. */
  swallow(): void;
}

/** A proxy between clients and a server that can make their connections fail, even silently. */
export interface TcpProxy {
  /** The URL of the server through the proxy. */
  readonly url: string;
  /** All connections there have been, the oldest first. */
  readonly connections: readonly ProxiedConnection[];
  /** Called for every request; returns the fault to apply to it, if any. */
  interfere: (request: string) => Interference | undefined;
  /** The delay of everything that passes, in both directions. */
  delayMs: number;
  /** How much later than the rest of an answer the message arrives that the server is ready. */
  readyDelayMs: number;
  /** Whether new connections are swallowed from their beginning. */
  isDeaf: boolean;
  /** Sends new connections to another server, and resets those there are. */
  redirect(serverUrl: string): void;
  close(): Promise<void>;
}

/** How much a connection remembers of what its client has sent. */
const rememberedBytes = 64 * 1024;
/** The end of every answer to a request: the server is ready for the next one. */
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5]);
/** With the status of the transaction. */
const readyBytes = readyForQuery.length + 1;

export async function startProxy(serverUrl: string): Promise<TcpProxy> {
  let target = new URL(serverUrl);
  const connections: ProxiedConnection[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let sent = '';
    let isSwallowing = proxy.isDeaf;
    let isReplyLost = false;

    const pass = (to: Socket, data: Buffer): void => {
      if (proxy.delayMs === 0) to.write(data);
      else setTimeout(() => to.write(data), proxy.delayMs);
    };
    client.on('data', (data) => {
      const request = data.toString('latin1');
      sent = (sent + request).slice(-rememberedBytes);
      if (isSwallowing) return;
      const interference = proxy.interfere(request);
      if (interference === 'lost') {
        client.resetAndDestroy();
        return;
      }
      if (interference === 'swallowed') {
        isSwallowing = true;
        return;
      }
      pass(upstream, data);
      if (interference === 'reply-swallowed') isSwallowing = true;
      if (interference === 'reply-lost') isReplyLost = true;
      if (interference !== 'left-behind') return;
      // Waits for the answer, so that the server does not see the connection end before.
      isReplyLost = true;
      client.removeAllListeners('close');
      client.resetAndDestroy();
    });
    upstream.on('data', (data) => {
      if (isSwallowing) return;
      const rest = data.length - readyBytes;
      const isReady = data.subarray(-readyBytes, -1).equals(readyForQuery);
      if (!isReplyLost && isReady && proxy.readyDelayMs > 0) {
        if (rest > 0) pass(client, data.subarray(0, rest));
        setTimeout(() => pass(client, data.subarray(rest)), proxy.readyDelayMs);
      } else if (!isReplyLost) pass(client, data);
      else if (isReady) {
        client.resetAndDestroy();
        upstream.destroy();
      }
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        sockets.delete(one);
        if (!isSwallowing) other.destroy();
      });
    }
    connections.push({
      get isOpen() {
        return !client.destroyed;
      },
      hasSent: (text) => sent.includes(text),
      swallow: () => (isSwallowing = true),
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  const resetAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const proxy: TcpProxy = {
    url: url.href,
    connections,
    interfere: () => undefined,
    delayMs: 0,
    readyDelayMs: 0,
    isDeaf: false,
    redirect(newUrl) {
      target = new URL(newUrl);
      resetAll();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}
