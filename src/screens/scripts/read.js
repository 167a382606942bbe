// What is held under the reader. A scanner types: many keys, one soon after the other, and Enter at the end.
const BETWEEN_KEYS = 500;
const SHORTEST = 4;

function listenToScanner(taken) {
  let keys = "";
  let last = 0;
  document.addEventListener("keydown", (event) => {
    const now = event.timeStamp;
    if (now - last > BETWEEN_KEYS) keys = "";
    last = now;
    if (event.key === "Enter" && keys.length >= SHORTEST) {
      const scanned = keys;
      keys = "";
      if (taken(scanned)) event.preventDefault();
    } else if (event.key.length === 1 && !event.ctrlKey && !event.altKey && !event.metaKey) {
      keys += event.key;
    }
  }, { capture: true });
}

/** The flight and seat of a boarding pass (IATA BCBP), to show what was read; none of what is no pass. */
function flightOf(scanned) {
  if (!/^M\d/.test(scanned) || scanned.length < 58) return null;
  const part = (from, to) => scanned.slice(from, to).trim();
  const seat = part(48, 52).replace(/^0+/, "");
  return `${part(36, 39)} ${part(39, 44).replace(/^0+/, "")}, ${part(30, 33)} – ${part(33, 36)}${seat ? `, ${seat}` : ""}`;
}

async function digest(words) {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(words));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const LONG_SIDE = 1280;
const SHORT_SIDE = 720;
const SEEN_EVERY = 500;

/** Codes that a browser reads from a picture by itself; none where it reads none. */
async function codesOfCamera() {
  if (!("BarcodeDetector" in globalThis)) return [];
  const known = await BarcodeDetector.getSupportedFormats().catch(() => []);
  return known.filter((it) => ["qr_code", "aztec", "pdf417"].includes(it));
}

/** Reads pictures by the gateway, which gets their bare lightness, and keeps nothing of it. */
function readerByGateway() {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  return async (video) => {
    const [wide, high] = [video.videoWidth, video.videoHeight];
    if (!wide || !high) return null;
    const scale = Math.min(1, LONG_SIDE / Math.max(wide, high), SHORT_SIDE / Math.min(wide, high));
    const [width, height] = [Math.floor(wide * scale), Math.floor(high * scale)];
    Object.assign(pen.canvas, { width, height });
    pen.drawImage(video, 0, 0, width, height);
    const { data } = pen.getImageData(0, 0, width, height);
    const light = new Uint8Array(width * height);
    for (let nth = 0, from = 0; nth < light.length; nth += 1, from += 4) light[nth] = (data[from] * 77 + data[from + 1] * 150 + data[from + 2] * 29) >> 8;
    const reply = await call(`/screens/frames?width=${width}&height=${height}`, { body: light, type: "application/octet-stream" });
    if (reply?.status === 200) return reply.value.read;
    await new Promise((over) => setTimeout(over, (reply?.wait ?? 2) * 1_000));
    return null;
  };
}

/** What reads pictures: this browser, else the gateway; none where there is no camera for it. */
async function readerOfPictures() {
  const formats = await codesOfCamera();
  if (formats.length > 0) {
    const detector = new BarcodeDetector({ formats });
    return async (video) => (await detector.detect(video))[0]?.rawValue;
  }
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return devices.some(({ kind }) => kind === "videoinput") ? readerByGateway() : null;
}

/** A code is the same one while it is held there, even where a picture of it is missed now and then. */
const HELD_FOR = 3_000;

/**
 * Reads codes from the camera while it is asked to: each is taken once, and one picture is looked at after the other.
 * Fails where the camera may not be used. Returns what shows its picture.
 */
async function listenToCamera(read, isReady, taken, facingMode = "user") {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode, width: { max: LONG_SIDE }, height: { max: SHORT_SIDE } } });
  const show = () => {
    const video = el("video", { class: "k-video", playsinline: true, "aria-hidden": "true" });
    Object.assign(video, { muted: true, srcObject: stream });
    video.play().catch(() => {});
    return video;
  };
  // One that stands in no page, as taking it out of one would stop it.
  const video = show();
  let held = { code: "", at: 0 };
  const look = async () => {
    if (!isReady()) {
      held.at = Date.now();
      return;
    }
    const code = await read(video).catch(() => null);
    const now = Date.now();
    if (code && (code === held.code || (isReady() && taken(code)))) held = { code, at: now };
    else if (now - held.at > HELD_FOR) held.code = "";
  };
  const follow = async () => {
    const began = Date.now();
    await look();
    setTimeout(follow, Math.max(0, SEEN_EVERY - (Date.now() - began)));
  };
  follow();
  return show;
}
