// A browser whose camera sees a picture of ours: a code, lying on something grey, that the gateway has to find.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { launch } from "./chromium.mjs";
import { bcbp, bwipjs, TARGET } from "./modules.mjs";

const [WIDTH, HEIGHT] = [1280, 720];
const [DARK, LIGHT, AROUND] = [40, 215, 150];
/** As much light around a code as its standard asks for. */
const MARGIN = 6;

/** The film of a code (`qrcode`, `azteccode`, `pdf417`) that is held still: lightness, and two planes without a colour. */
function filmOf(bcid, text) {
  const [{ pixs, pixx, pixy }] = bwipjs.raw({ bcid, text });
  const high = pixy / (pixs.length / pixx);
  const scale = Math.floor(Math.min((WIDTH * 0.8) / (pixx + 2 * MARGIN), (HEIGHT * 0.8) / (pixy + 2 * MARGIN)));
  const picture = Buffer.alloc(WIDTH * HEIGHT, AROUND);
  const [left, top] = [Math.floor((WIDTH - pixx * scale) / 2), Math.floor((HEIGHT - pixy * scale) / 2)];
  for (let y = -MARGIN * scale; y < (pixy + MARGIN) * scale; y += 1) {
    for (let x = -MARGIN * scale; x < (pixx + MARGIN) * scale; x += 1) {
      const [column, row] = [Math.floor(x / scale), Math.floor(Math.floor(y / scale) / high)];
      const isInside = column >= 0 && column < pixx && row >= 0 && row < pixs.length / pixx;
      picture[(top + y) * WIDTH + left + x] = isInside && pixs[row * pixx + column] ? DARK : LIGHT;
    }
  }
  const frame = [Buffer.from("FRAME\n"), picture, Buffer.alloc((WIDTH * HEIGHT) / 2, 128)];
  return Buffer.concat([Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F5:1 Ip A1:1 C420\n`), ...frame, ...frame]);
}

/** Tests run beside each other. */
let films = 0;

/** Runs `see` with a stage whose browser has this code before its camera. */
export async function before(t, bcid, text, see) {
  films += 1;
  const film = join(TARGET, `${bcid}-${process.pid}-${films}.y4m`);
  writeFileSync(film, filmOf(bcid, text));
  const { browser } = await launch(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-video-capture=${film}`]);
  try {
    return await see(Object.create(t, { browser: { value: browser } }));
  } finally {
    await browser.close();
  }
}

/** A boarding pass, as airlines print it. */
export const boardingPass = () =>
  bcbp.encode({
    data: {
      passengerName: "DESMARAIS/LUC",
      legs: [{ operatingCarrierPNR: "ABC123", departureAirport: "SFO", arrivalAirport: "HKG", operatingCarrierDesignator: "CX", flightNumber: "0873", flightDate: new Date("2026-11-27T00:00:00Z"), compartmentCode: "F", seatNumber: "001A", checkInSequenceNumber: "0025", passengerStatus: "1" }],
    },
  });
