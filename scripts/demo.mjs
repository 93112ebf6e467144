// Two people, one on each app, write to each other; then the databases are looked into.
// Needs the apps of `make run`. APP_A_URL, APP_B_URL and DATA_DIR say where they are, if not in the usual places.
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const A = (process.env.APP_A_URL || "http://127.0.0.1:8001").replace(/\/+$/, "");
const B = (process.env.APP_B_URL || "http://127.0.0.1:8002").replace(/\/+$/, "");
const DATA = process.env.DATA_DIR || "data";
/** Seconds until a message must have reached the other app. */
const PATIENCE = 15;

const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : String(text));
const [bold, dim, green, red, cyan] = ["1", "2", "32", "31", "36"].map(paint);
const title = (text) => console.log(`\n${bold(text)}`);
const line = (name, text) => console.log(`  ${cyan(name.padEnd(16))} ${text}`);

/** Ends the demo with a sentence. */
class Stop extends Error {}

async function call(user, method, path, body) {
  const base = user.url;
  let response;
  try {
    response = await fetch(base + path, {
      method,
      headers: {
        ...(body && { "content-type": "application/json" }),
        ...(user.token && { authorization: `Bearer ${user.token}` }),
      },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
  } catch (error) {
    throw new Stop(`${base} does not answer (${error.cause?.code ?? error.name}). Start the apps first: make run`);
  }
  const text = await response.text();
  let answer;
  try {
    answer = text && JSON.parse(text);
  } catch {
    throw new Stop(`${base} answers, but not as our apps do. Is something else listening there?`);
  }
  if (!response.ok) {
    const why = answer.errors ? JSON.stringify(answer.errors) : answer.detail;
    throw new Stop(`${method} ${path} at ${base} answered ${response.status}: ${why ?? text}`);
  }
  return answer;
}

/** Registers a user with a name that nobody has yet, and logs in. */
async function join(url, name) {
  const username = `${name}-${randomBytes(3).toString("hex")}`;
  const password = randomBytes(18).toString("base64url");
  const profile = await call({ url }, "POST", "/api/auth/register/", {
    email: `${username}@example.org`,
    username,
    password,
  });
  const login = await call({ url }, "POST", "/api/auth/login/", { username, password });
  return { url, name, token: login.access_token, ...profile };
}

const lookUp = (user, address) =>
  call(user, "GET", `/api/users/get_by_username/?username=${encodeURIComponent(address)}`);
const inbox = async (user) => (await call(user, "GET", "/api/messages/inbox/")).results;
const status = async (user, id) => (await call(user, "GET", `/api/chats/messages/${id}/`)).status;

/** Asks until `found` gives something, and says how long that took. */
async function until(what, found) {
  const start = performance.now();
  while (performance.now() - start < PATIENCE * 1000) {
    const value = await found();
    if (value) return [value, Math.round(performance.now() - start)];
    await sleep(20);
  }
  throw new Stop(`${what} within ${PATIENCE} s. What does the log of make run say?`);
}

const arrived = (user, id, content) =>
  until(`the message did not reach ${user.address}`, async () =>
    (await inbox(user)).find((message) => message.id === id && message.content === content),
  );

const onTheOtherSide = (user, id) =>
  until(`the message of ${user.address} stayed queued`, async () => {
    const now = await status(user, id);
    return now !== "queued" && now;
  });

/** The bytes of an app's database and of what has not yet been moved into it from the write-ahead log. */
async function stored(app) {
  const read = (end) =>
    readFile(`${DATA}/${app}.db${end}`).catch((error) => {
      if (error.code === "ENOENT") return Buffer.alloc(0);
      throw error;
    });
  return Buffer.concat([await read(""), await read("-wal")]);
}

/** The token of a message; of an edited one, one that both apps would show. */
function tokenOf(bytes, id) {
  const key = Buffer.from(id.replaceAll("-", ""), "hex");
  const found = new Set();
  for (let at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + 1)) {
    // A row begins with the ids of message, conversation and sender, and perhaps that of the message it answers.
    const row = bytes.subarray(at, at + 1000).toString("latin1");
    const token = /^[^]{48}(?:[^]{16})?(gAAAA[\w-]+={0,2})/.exec(row);
    if (token) found.add(token[1]);
  }
  return [...found].sort().at(-1);
}

async function lookInto(app, messages, secrets) {
  const bytes = await stored(app);
  if (bytes.length === 0) {
    line(app, dim(`there is no ${DATA}/${app}.db here, so this app keeps its data elsewhere (DATA_DIR?)`));
    return true;
  }
  line(app, `${DATA}/${app}.db and its write-ahead log, ${Math.ceil(bytes.length / 1024)} KiB`);
  let sound = true;
  for (const { id, from } of messages) {
    const token = tokenOf(bytes, id);
    sound &&= Boolean(token);
    const missing = "no token; are these the files of the app that answers (DATA_DIR)?";
    const seen = token && `${token.slice(0, 44)}… ${dim(`${token.length} characters`)}`;
    line("", `${from.padEnd(6)} ${seen ?? red(missing)}`);
  }
  for (const secret of secrets) {
    const found = bytes.includes(secret);
    sound &&= !found;
    const verdict = found ? red("IS THERE IN THE CLEAR") : green("is not there");
    line("", `${JSON.stringify(secret)} ${verdict}`);
  }
  return sound;
}

async function demo() {
  for (const url of [A, B]) await call({ url }, "GET", "/health/ready");

  title("Two people, each with an account on one app");
  const alice = await join(A, "alice");
  const bob = await join(B, "bob");
  line("AppA", alice.address);
  line("AppB", bob.address);
  const [seenBob, seenAlice] = [await lookUp(alice, bob.address), await lookUp(bob, alice.address)];
  line("looked up", `AppA knows ${seenBob.address}, AppB knows ${seenAlice.address}`);

  title("They write to each other");
  const first = "Dinner at eight? The blue door, ring twice.";
  const edited = "Dinner at nine? The blue door, ring twice.";
  const reply = "Gladly. I bring the plums.";
  const hello = await call(alice, "POST", "/api/messages/send/", { recipient: bob.address, content: first });
  line("alice sends", `“${first}” ${dim(hello.status)}`);
  const [, there] = await arrived(bob, hello.id, first);
  line("bob has it", dim(`after ${there} ms`));
  const answer = await call(bob, "POST", "/api/chats/messages/", {
    conversation: hello.conversation,
    parent: hello.id,
    content: reply,
  });
  line("bob answers", `“${reply}” ${dim(answer.status)}`);
  const [, back] = await arrived(alice, answer.id, reply);
  line("alice has it", dim(`after ${back} ms`));
  await call(alice, "PATCH", `/api/chats/messages/${hello.id}/`, { content: edited });
  line("alice edits", `“${edited}”`);
  const [, again] = await arrived(bob, hello.id, edited);
  line("bob sees that", dim(`after ${again} ms`));

  title("What each side sees now");
  for (const [user, mine] of [[alice, hello], [bob, answer]]) {
    for (const { sender, content, edited_at } of await inbox(user)) {
      line(`${user.name}'s inbox`, `${sender.username}: “${content}”${edited_at ? dim(" edited") : ""}`);
    }
    const [reached] = await onTheOtherSide(user, mine.id);
    line("", dim(`and the message that ${user.name} sent is ${reached}`));
  }

  title("What the databases hold");
  const messages = [{ id: hello.id, from: "alice" }, { id: answer.id, from: "bob" }];
  const secrets = ["Dinner at", "The blue door", "I bring the plums"];
  const sound = [await lookInto(alice.app, messages, secrets), await lookInto(bob.app, messages, secrets)];
  console.log();
  if (sound.includes(false)) throw new Stop("the databases do not hold what they should");
}

try {
  await demo();
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  console.error(`\n${red("demo:")} ${error.message}`);
  process.exitCode = 1;
}
