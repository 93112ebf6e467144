// balance.mjs PORT=PORT,PORT …: hands each connection to 127.0.0.1:PORT on to the next of the ports behind it that answers.
import { connect, createServer } from "node:net";

for (const rule of process.argv.slice(2)) {
  const [port, behind] = rule.split("=");
  const ports = behind.split(",").map(Number);
  let turn = 0;
  const hand = (client, tries) => {
    if (tries === 0) return client.destroy();
    const server = connect(ports[turn++ % ports.length], "127.0.0.1");
    let open = false;
    server.on("connect", () => {
      open = true;
      client.pipe(server).pipe(client);
    });
    server.on("error", () => (open ? client.destroy() : hand(client, tries - 1)));
    client.on("error", () => server.destroy());
    client.on("close", () => server.destroy());
    server.on("close", () => open && client.destroy());
  };
  createServer((client) => hand(client, ports.length)).listen(Number(port), "127.0.0.1");
}
