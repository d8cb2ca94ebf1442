import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** One connection through the proxy. */
export interface ProxiedConnection {
  readonly isOpen: boolean;
  /** Whether the client has sent this text so far. */
  hasSent(text: string): boolean;
  /** From now on nothing comes through, either way, and nobody is told: a half-open socket. */
  swallow(): void;
}

/** Stands between clients and a server, and can make their connections fail in silence. */
export interface TcpProxy {
  /** The server's URL, by way of the proxy. */
  readonly url: string;
  /** All connections there have been, the oldest first. */
  readonly connections: readonly ProxiedConnection[];
  close(): Promise<void>;
}

export async function startProxy(serverUrl: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(serverUrl);
  const connections: ProxiedConnection[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port || 5432), hostname);
    let sent = '';
    let isSwallowing = false;
    client.on('data', (data) => (sent += data.toString('latin1')));
    const forward = (from: Socket, to: Socket): void => {
      sockets.add(from);
      from.on('data', (data) => isSwallowing || to.write(data));
      from.on('error', () => from.destroy());
      from.on('close', () => {
        sockets.delete(from);
        if (!isSwallowing) to.destroy();
      });
    };
    forward(client, upstream);
    forward(upstream, client);
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
  return {
    url: url.href,
    connections,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
