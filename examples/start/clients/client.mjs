// Talks to the bot on the terminal, and runs its actions here, in Node (18 or newer), without packages.
//
//     rasa-core serve .
//     node client.mjs [address of the server]
//
// If the server has a token, set it for the client too, in the environment variable RASA_CORE_TOKEN.

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";

const server = process.argv[2] ?? "http://localhost:5005";
const conversation = `${server}/conversations/${randomUUID()}`;
const token = process.env.RASA_CORE_TOKEN;

const FULL = ["Monday"]; // The calendar that this bot knows; put your own in its place.
const slot = (name, value) => ({ event: "slot", name, value });

const ACTIONS = {
  // Books a repair, and tells what has become of it; a Sunday stands for a calendar that cannot be reached.
  book_repair({ day }) {
    if (day === "Sunday") throw new Error("the calendar does not answer");
    return [slot("outcome", FULL.includes(day) ? "full" : "booked")];
  },
};

// Runs an action: what it changes, and the error if it fails. The stories tell what the bot does then.
async function run(action, slots) {
  try {
    return { events: (await ACTIONS[action]?.(slots)) ?? [] };
  } catch (error) {
    console.error(`     (${action}: ${error.message})`);
    return { events: [], error: String(error.message) };
  }
}

// A request that gets no answer is sent again with its key: the server carries it out once.
async function call(endpoint, content) {
  const headers = { "Idempotency-Key": randomUUID(), ...(token && { Authorization: `Bearer ${token}` }) };
  const options = { method: "POST", headers, body: JSON.stringify(content) };
  for (let tries = 1; ; tries++) {
    try {
      const response = await fetch(`${conversation}/${endpoint}`, options);
      const answer = await response.json();
      if (response.ok) return answer;
      throw Object.assign(new Error(answer.error), { isFinal: response.status < 500 });
    } catch (error) {
      if (error.isFinal || tries === 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** tries * Math.random()));
    }
  }
}

const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: "you: " });
terminal.prompt();
try {
  for await (const line of terminal) {
    if (!line.trim()) break;
    let answer = await call("parse", { query: line });
    while (answer.next_action && answer.next_action !== "action_listen") {
      for (const message of answer.messages ?? []) console.log(`bot: ${message.text}`);
      const outcome = await run(answer.next_action, answer.tracker.slots);
      answer = await call("continue", { executed_action: answer.next_action, ...outcome });
    }
    terminal.prompt();
  }
} catch (error) {
  console.error(`${error.message}: is the server running? rasa-core serve .`);
  process.exitCode = 1;
}
terminal.close();
