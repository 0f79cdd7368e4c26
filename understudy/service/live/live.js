// The page's side of the stream. At most ON_THEIR_WAY frames are unanswered; the server answers every one, so nothing can
// pile up anywhere between the camera and this page. The clock is the page's own, from capture to paint.
"use strict";
const ON_THEIR_WAY = 3, SPAN = 5000, HEAD = 16, WIDTH = 480, QUALITY = 0.8, DRAWN = 0;
const at = (id) => document.getElementById(id);
const stage = at("stage"), self = at("self"), pen = stage.getContext("2d");
const small = document.createElement("canvas"), brush = small.getContext("2d", { alpha: false });
let socket = null, camera = null, wanted = "realistic", ready = false;
let number = 0, unanswered = 0, packing = false, left = 0;
let newest = null, painting = false;
const shown = [];  // [time shown, latency], of the last SPAN

function say(text) { at("said").textContent = text; }
function sentence(error) { return [error.happened, error.seen, error.remedy].filter(Boolean).join(". ") + "."; }

function wish() {
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  ready = false;
  socket.send(JSON.stringify({ portrait: wanted, strength: Number(at("strength").value) }));
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/live/stream`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { unanswered = 0; wish(); };
  socket.onmessage = (event) => (typeof event.data === "string" ? news(JSON.parse(event.data)) : answer(event.data));
  socket.onclose = () => { ready = false; if (camera) stop("The studio has hung up. Is it still running?"); };
}

function news(told) {
  if (told.error) { ready = false; stop(sentence(told.error)); }
  if (told.ready) { ready = true; stage.width = stage.height = told.ready.side; say(told.ready.camera ? `Also shown as ${told.ready.camera}.` : ""); }
}

function answer(data) {
  unanswered = Math.max(0, unanswered - 1);
  const view = new DataView(data);
  if (view.getUint32(4, true) !== DRAWN) { left += 1; return; }
  newest = { stamp: view.getFloat64(8, true), picture: new Blob([new Uint8Array(data, HEAD)], { type: "image/jpeg" }) };
  if (!painting) paint();
}

async function paint() {
  painting = true;
  while (newest) {
    const { stamp, picture } = newest;
    newest = null;
    const bitmap = await createImageBitmap(picture);
    await new Promise((done) => requestAnimationFrame(done));
    if (camera) pen.drawImage(bitmap, 0, 0, stage.width, stage.height);
    bitmap.close();
    const now = performance.now();
    shown.push([now, now - stamp]);
  }
  painting = false;
}

function shot(now, about) {
  if (!camera) return;
  self.requestVideoFrameCallback(shot);
  if (!ready || packing) return;
  if (unanswered >= ON_THEIR_WAY || socket.bufferedAmount > 0) { left += 1; return; }
  const stamp = about.captureTime || about.presentationTime || now;
  small.width = WIDTH;
  small.height = Math.round(WIDTH * self.videoHeight / self.videoWidth);
  brush.setTransform(at("mirror").checked ? -1 : 1, 0, 0, 1, at("mirror").checked ? WIDTH : 0, 0);
  brush.drawImage(self, 0, 0, small.width, small.height);
  packing = true;
  small.toBlob(async (blob) => {
    const picture = blob && new Uint8Array(await blob.arrayBuffer());
    packing = false;
    if (!picture || !ready || !camera || socket.readyState !== WebSocket.OPEN) return;
    const message = new Uint8Array(HEAD + picture.length), view = new DataView(message.buffer);
    view.setUint32(0, number++ >>> 0, true);
    view.setFloat64(8, stamp, true);
    message.set(picture, HEAD);
    unanswered += 1;
    socket.send(message);
  }, "image/jpeg", QUALITY);
}

async function start() {
  say("");
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } }, audio: false });
  } catch (error) {
    camera = null;
    say(`The camera cannot be used: ${error.message}. Allow it in the browser, or plug one in.`);
    return;
  }
  self.srcObject = camera;
  self.hidden = false;
  await self.play();
  at("hint").textContent = "";
  at("start").textContent = "Stop";
  at("again").disabled = at("large").disabled = false;
  shown.length = left = 0;
  if (!socket || socket.readyState > WebSocket.OPEN) connect(); else wish();
  self.requestVideoFrameCallback(shot);
}

function stop(reason) {
  if (camera) camera.getTracks().forEach((track) => track.stop());
  camera = null;
  self.srcObject = null;
  self.hidden = true;
  at("start").textContent = "Start the camera";
  at("again").disabled = at("large").disabled = true;
  const line = socket;
  socket = null;
  if (line) line.close();
  say(reason || "");
  still();
}

function still() {
  const picture = document.querySelector(`[data-portrait="${wanted}"] img`);
  if (camera || !picture) return;
  const side = Math.min(picture.naturalWidth, picture.naturalHeight);
  if (side) pen.drawImage(picture, (picture.naturalWidth - side) / 2, (picture.naturalHeight - side) / 2, side, side, 0, 0, stage.width, stage.height);
}

function choose(button) {
  wanted = button.dataset.portrait;
  for (const each of document.querySelectorAll("[data-portrait]")) each.setAttribute("aria-pressed", each === button);
  still();
  wish();
}

async function upload(file) {
  say("Looking at the picture ...");
  let told;
  try {
    told = await (await fetch("/live/portraits", { method: "POST", body: file })).json();
  } catch (error) {
    say("The picture did not arrive. Is the studio still running?");
    return;
  }
  if (told.error) { say(sentence(told.error)); return; }
  say("");
  const button = document.createElement("button"), picture = document.createElement("img");
  button.dataset.portrait = told.portrait;
  picture.alt = "your picture";
  picture.src = URL.createObjectURL(file);
  picture.onload = () => choose(button);
  button.append(picture);
  button.onclick = () => choose(button);
  at("portraits").insertBefore(button, document.querySelector(".own"));
}

function meter() {
  const now = performance.now();
  while (shown.length && shown[0][0] < now - SPAN) shown.shift();
  const ranked = shown.map((each) => each[1]).sort((a, b) => a - b);
  const share = (part) => `${Math.round(ranked[Math.min(Math.floor(part * ranked.length), ranked.length - 1)])} ms`;
  const long = shown.length > 1 ? shown[shown.length - 1][0] - shown[0][0] : 0;
  at("rate").textContent = long ? ((shown.length - 1) / long * 1000).toFixed(1) : "\u2013";
  at("p50").textContent = ranked.length ? share(0.5) : "\u2013";
  at("p95").textContent = ranked.length ? share(0.95) : "\u2013";
  at("gone").textContent = camera ? String(left) : "\u2013";
}

for (const button of document.querySelectorAll("[data-portrait]")) {
  button.onclick = () => choose(button);
  button.firstElementChild.onload = still;
}
at("start").onclick = () => (camera ? stop() : start());
at("again").onclick = () => socket && socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ again: true }));
at("large").onclick = () => stage.requestFullscreen();
at("own").onchange = (event) => { if (event.target.files[0]) upload(event.target.files[0]); event.target.value = ""; };
at("strength").oninput = () => { at("much").textContent = Number(at("strength").value).toFixed(1); };
at("strength").onchange = wish;
setInterval(meter, 500);
still();
