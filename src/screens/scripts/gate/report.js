// What waits is reported in order, in batches, by one tab at a time. An entry is deleted with what came of it in one
// transaction: whatever breaks off before that is reported again, and gets the same answer. What was taken for another
// audience than today's is not this door's to report: it stays until the browser is paired for that one again.
const BATCH = 50;

const waits = () => within(["queue"], "readonly", (of) => done(of("queue").count()));

/** What waits for another audience than this door's: how many, and for which one of them. */
let elsewhere = null;

/** The first `most` entries of this door, and how many before them are none of its own. */
function ownOf(queue, most) {
  return new Promise((finish, fail) => {
    const own = [];
    const others = [];
    const request = queue.openCursor();
    request.onerror = () => fail(request.error);
    request.onsuccess = () => {
      const found = request.result;
      if (!found || own.length >= most) return finish({ own, others });
      const { aud } = found.value;
      if (aud && aud !== door?.audience) others.push(aud);
      else own.push({ key: found.key, sealed: found.value });
      return found.continue();
    };
  });
}

async function nextBatch(most) {
  const { own, others } = await within(["queue"], "readonly", (of) => ownOf(of("queue"), most));
  if (own.length === 0) elsewhere = others.length ? { count: others.length, audience: others[0] } : null;
  return Promise.all(own.map(async ({ key, sealed }) => ({ key, sealed, entry: await unseal(sealed) })));
}

/** The audience that a token names. It was checked as it was taken. */
function audienceOf(token) {
  const parts = partsOf(token);
  return parts ? objectOf(parts.claims).aud : "another place";
}

/** What is to be read about an entry; none where it was counted, and that is all. */
function noteOf(entry, result) {
  if (!entry) return { kind: "unread" };
  const about = { at: Date.parse(entry.at), tier: entry.tier, people: entry.people };
  if (result.outcome === "duplicate") return { kind: "duplicate", ...about, door: result.door, first: Date.parse(result.redeemed_at) };
  if (result.outcome === "refused") return { kind: "refused", ...about, detail: result.detail };
  // That its time is over by now is nothing: they came in while it was good.
  return ["voided", "released", "key_revoked"].includes(result.meanwhile) ? { kind: "meanwhile", ...about, meanwhile: result.meanwhile } : null;
}

async function settle(batch, results) {
  const told = [...results];
  const outcomes = batch.map((it) => ({ ...it, result: it.entry ? told.shift() : null }));
  const left = await within(["kept", "taken", "queue", "notes"], "readwrite", async (of) => {
    const sent = (await done(of("kept").get("sent"))) ?? { entries: 0, counted: 0, people: 0 };
    for (const { key, sealed, entry, result } of outcomes) {
      // Another tab may have settled it.
      if ((await done(of("queue").getKey(key))) === undefined) continue;
      // They were let in, and another door may say so.
      if (result?.code === "wrong_audience") {
        of("queue").put({ ...sealed, aud: audienceOf(entry.token) }, key);
        continue;
      }
      of("queue").delete(key);
      const note = noteOf(entry, result);
      if (note) of("notes").add(note);
      sent.entries += 1;
      if (result?.outcome === "recorded") {
        sent.counted += 1;
        sent.people += entry.people;
      }
      const known = entry && (await done(of("taken").get(entry.jti)));
      if (known) of("taken").put({ ...known, waits: false }, entry.jti);
    }
    of("kept").put(sent, "sent");
    return done(of("queue").count());
  });
  noteWaiting(left);
  return left;
}

/** Reports all that waits, as long as the gateway takes it. Returns the status of an answer that ended it. */
function report() {
  return navigator.locks.request("door report", { ifAvailable: true }, async (lock) => {
    for (let most = BATCH; lock; ) {
      const batch = await nextBatch(most);
      if (batch.length === 0) return null;
      const items = batch.filter(({ entry }) => entry).map(({ entry: { token, attempt, at } }) => {
        // A phone's clock that was ahead is right again by now, and nothing came in later than now.
        const came = Math.min(Date.parse(at), gatewayTime());
        return { token, attempt, at: new Date(came).toISOString() };
      });
      const reply = items.length ? await callDoor("/door/late", { body: JSON.stringify({ items }), patience: 20_000 }) : { status: 200, value: { results: [] } };
      if (reply?.status === 422 && most > 1) {
        // A gateway may take fewer at once, by its rate.
        most = Math.ceil(most / 2);
        continue;
      }
      if (reply?.status === 429) {
        await sleep(Math.max(1, reply.wait) * 1_000);
        continue;
      }
      if (reply?.status !== 200 || reply.value?.results?.length !== items.length) return reply?.status ?? null;
      await settle(batch, reply.value.results);
      changed();
      // They stay, and the same ones would come again.
      if (items.length > 0 && reply.value.results.every(({ code }) => code === "wrong_audience")) return null;
      // Who stands at the door comes first.
      do await sleep(100);
      while (view.name === "asking");
    }
    return null;
  });
}

/** What is still to be read: of entries that were reported, and of those that are lost. */
async function news() {
  const [notes, sent] = await within(["notes", "kept"], "readonly", async (of) => [await done(of("notes").getAll()), await done(of("kept").get("sent"))]);
  return sent || notes.length ? { notes, sent: sent ?? { entries: 0, counted: 0, people: 0 } } : null;
}

const understood = () =>
  within(["notes", "kept"], "readwrite", (of) => {
    of("notes").clear();
    return done(of("kept").delete("sent"));
  });

/** Forgets tokens that are long over: nobody comes with them any more. */
const tidy = () =>
  within(["taken"], "readwrite", async (of) => {
    const now = gatewayTime();
    const [keys, values] = [await done(of("taken").getAllKeys()), await done(of("taken").getAll())];
    for (const [nth, { until, waits }] of values.entries()) if (until < now && !waits) of("taken").delete(keys[nth]);
  });
