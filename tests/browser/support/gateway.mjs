// A gateway of the run's own: `perkgate demo` on a free port, its database in a directory that goes with it.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

export class Gateway {
  static async start(binary) {
    const program = resolve(binary);
    const directory = mkdtempSync(join(tmpdir(), "perkgate-browser-"));
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PERKGATE_")));
    // Pages show a provider of OpenID Connect; nothing asks it before its button is pressed.
    Object.assign(env, { PERKGATE_OIDC_ISSUER: "https://id.example", PERKGATE_OIDC_CLIENT_ID: "perkgate" });
    const words = ["demo", "--json", "--dir", join(directory, "demo"), "--listen", "127.0.0.1:0"];
    const child = spawn(program, words, { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    child.stderr.on("data", (part) => (said = (said + part).slice(-20_000)));
    const gateway = new Gateway();
    Object.assign(gateway, { program, directory, env, child, said: () => said });
    gateway.ended = new Promise((done) => child.once("close", done));
    const first = new Promise((done) => createInterface({ input: child.stdout }).once("line", done));
    const line = await Promise.race([first, gateway.ended]);
    if (typeof line !== "string") {
      rmSync(directory, { recursive: true, force: true });
      throw new Error(`the gateway did not start:\n${said}`);
    }
    const show = JSON.parse(line);
    gateway.url = show.url;
    gateway.database = show.database;
    gateway.keys = Object.fromEntries(show.keys);
    return gateway;
  }

  async stop() {
    this.child.kill("SIGTERM");
    await this.ended;
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Runs the program on the same database, and reads the JSON that it answers. */
  async command(...words) {
    const all = [...words, "--json", "--database-url", this.database];
    const { stdout } = await run(this.program, all, { cwd: this.directory, env: this.env, maxBuffer: 64 * 1024 * 1024 });
    return JSON.parse(stdout);
  }

  /** Sends a request as it is written: no browser adds anything to it. */
  ask(method, path, { headers = {}, body, form, cookie } = {}) {
    const text = form ? new URLSearchParams(form).toString() : body;
    const all = { ...headers };
    if (form) all["content-type"] ??= "application/x-www-form-urlencoded";
    if (cookie) all.cookie = cookie;
    if (text !== undefined) all["content-length"] = Buffer.byteLength(text);
    return new Promise((done, fail) => {
      const request = http.request(new URL(path, this.url), { method, headers: all }, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => {
          const whole = Buffer.concat(parts).toString("utf8");
          done({ status: response.statusCode, headers: response.headers, text: whole });
        });
      });
      request.on("error", fail);
      request.end(text);
    });
  }

  /** Calls the API with a key; what is refused is an error. */
  async api(key, method, path, value) {
    const headers = { authorization: `Bearer ${key}` };
    let body;
    if (typeof value === "string") {
      headers["content-type"] = "application/x-ndjson";
      body = value;
    } else if (value !== undefined) {
      headers["content-type"] = "application/json";
      body = JSON.stringify(value);
    }
    const { status, text, headers: answered } = await this.ask(method, path, { headers, body });
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    const answer = text ? JSON.parse(text) : {};
    return Object.assign(answer, { etag: answered.etag });
  }

  /** Sends a form as a browser does from one of our own pages. */
  send(path, form, { cookie, headers = {} } = {}) {
    return this.ask("POST", path, { form, cookie, headers: { "sec-fetch-site": "same-origin", origin: this.url, ...headers } });
  }
}
