// Talks to the bot, and runs its actions here, in Node (18 or newer), without packages.
//
//     rasa-core-serve examples/remote
//     node examples/remote/client.mjs [address of the server] [conversation]

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

const server = process.argv[2] ?? "http://localhost:5005";
const conversation = `${server}/conversations/${encodeURIComponent(process.argv[3] ?? "node-client")}`;

const CONCERTS = { Lisbon: [{ artist: "Carminho", stars: 5 }, { artist: "Maria Joao", stars: 4 }] };
const VENUES = { Lisbon: [{ name: "Hot Clube", stars: 4 }], Porto: [{ name: "Casa da Musica", stars: 5 }] };

const MESSAGES = [
  "/greet",
  '/find_concerts{"city": "Atlantis"}',
  '/inform{"city": "Lisbon"}',
  "/compare",
  "/start_over",
  '/find_venues{"city": "Porto"}',
  "/compare",
  "/restart",
  "/compare",
  "/goodbye",
];

const say = (said, ...events) => ({ said, events });
const slot = (name, value) => ({ event: "slot", name, value });
const stars = (found, key) => found.map((one) => `${one[key]} has ${one.stars} stars.`).join(" ");

const ACTIONS = {
  search_concerts({ city }) {
    const found = CONCERTS[city] ?? [];
    return say(`${found.length} concerts in ${city}.`, slot("concerts", found));
  },
  search_venues({ city }) {
    const found = VENUES[city] ?? [];
    return say(`${found.length} venues in ${city}.`, slot("venues", found));
  },
  compare_concerts: ({ concerts }) => say(stars(concerts, "artist")),
  compare_venues: ({ venues }) => say(stars(venues, "name")),
  forget_search: () => say("Done.", { event: "reset_slots" }),
  action_restart: () => say("A new conversation.", { event: "restart" }),
  utter_greet: () => say("Hello! Concerts or venues?"),
  utter_ask_city: () => say("In which city?"),
  utter_nothing_found: () => say("I found nothing there. Another city?"),
  utter_search_failed: () => say("I cannot search just now."),
  utter_found: () => say("Shall I compare them?"),
  utter_ask_what_to_compare: () => say("Tell me first what to look for."),
  utter_started_over: () => say("Forgotten. What now?"),
  utter_welcome: () => say("You are welcome."),
  utter_goodbye: () => say("Enjoy the music!"),
  utter_default: () => say("Sorry, I look for concerts and venues only."),
};

async function attempt(endpoint, body, key) {
  const response = await fetch(`${conversation}/${endpoint}`, {
    method: "POST",
    headers: { "Idempotency-Key": key },
    body,
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await response.json(); // fails if the connection breaks in the middle
  if (response.status >= 500) throw new Error(`${response.status}: ${answer.error}`);
  return { ok: response.ok, status: response.status, answer };
}

// Without an answer, nobody knows whether the request was carried out. So it is repeated with the key of the first
// attempt, and the same body: the server then gives the answer that it gave before, and adds nothing.
async function call(endpoint, content) {
  const key = randomUUID();
  const body = JSON.stringify(content);
  for (let tries = 1; ; tries++) {
    try {
      const { ok, status, answer } = await attempt(endpoint, body, key);
      if (ok) return answer;
      console.error(`${status}: ${answer.error}`); // what the server refuses, it would refuse again
      process.exit(1);
    } catch (error) {
      if (tries === 6) throw error;
      // Random pauses that grow: clients that failed together do not all come back in the same moment.
      await pause(Math.random() * 250 * 2 ** tries);
    }
  }
}

for (const query of MESSAGES) {
  console.log(`you: ${query}`);
  let answer = await call("parse", { query });
  while (answer.next_action !== null && answer.next_action !== "action_listen") {
    const { said, events } = ACTIONS[answer.next_action](answer.tracker.slots);
    console.log(`bot: [${answer.next_action}] ${said}`);
    answer = await call("continue", { executed_action: answer.next_action, events });
  }
}
