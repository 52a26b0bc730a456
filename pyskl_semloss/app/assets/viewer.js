"use strict";
// The skeleton over the video, the five classes of the moment, and the place in time that all parts of the page share.
window.SemlossViewer = class {
  static MISSING = -32768;

  constructor(box, about) {
    this.box = box;
    this.about = about;
    this.find = (name) => box.querySelector(`[data-part="${name}"]`);
    this.canvas = this.find("canvas");
    this.video = this.find("video");
    this.clock = { at: 0, since: null, rate: 1 };
    this.listeners = [];
    this.drawn = null;
    this.closed = false;
  }

  static async open(id, about) {
    const box = document.getElementById(id);
    if (window.semlossViewer) window.semlossViewer.close();
    const viewer = new SemlossViewer(box, about);
    window.semlossViewer = viewer;
    try {
      const [points, scores] = await Promise.all([about.keypoints, about.scores].map(async (url) => {
        const answer = await fetch(url);
        if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
        return answer.arrayBuffer();
      }));
      viewer.points = new Int16Array(points);
      viewer.scores = new Uint8Array(scores);
    } catch (error) {
      viewer.say(`The keypoints did not arrive (${error.message}). Open the file again.`);
      return viewer;
    }
    if (viewer.closed) return viewer;
    viewer.start();
    return viewer;
  }

  say(text) {
    const note = this.find("note");
    note.textContent = text;
    note.hidden = !text;
  }

  start() {
    const { about, video } = this;
    this.canvas.width = about.width;
    this.canvas.height = about.height;
    this.find("stage").style.aspectRatio = `${about.width} / ${about.height}`;
    if (about.video) {
      video.src = about.video;
      video.addEventListener("error", () => this.withoutVideo());
      video.addEventListener("ended", () => this.shown());
    } else {
      this.withoutVideo();
    }
    const range = this.find("range");
    range.max = String(about.seconds);
    range.step = String(1 / about.fps);
    range.addEventListener("input", () => this.seek(Number(range.value)));
    this.find("play").addEventListener("click", () => this.toggle());
    this.find("rate").addEventListener("change", (event) => this.setRate(Number(event.target.value)));
    this.find("skeleton").addEventListener("change", () => this.draw(true));
    this.find("stage").addEventListener("click", () => this.toggle());
    this.box.addEventListener("keydown", (event) => this.key(event));
    const tick = () => {
      if (this.closed) return;
      this.draw(false);
      requestAnimationFrame(tick);
    };
    tick();
    this.box.dataset.ready = "true";
  }

  withoutVideo() {
    if (this.about.video && this.video.error) {
      this.say("This browser cannot play the video; its skeleton is shown alone.");
    }
    this.clock.at = this.now;
    this.video.hidden = true;
    this.alone = true;
    this.draw(true);
  }

  key(event) {
    if (/^(INPUT|SELECT)$/.test(event.target.tagName) && event.target !== this.find("range")) return;
    // A button does by itself what space asks of it.
    if (event.target.tagName === "BUTTON" && event.key === " ") return;
    const steps = { ArrowLeft: -1 / this.about.fps, ArrowRight: 1 / this.about.fps, ",": -1 / this.about.fps, ".": 1 / this.about.fps };
    if (event.key === " ") this.toggle();
    else if (event.key in steps) this.seek(this.now + steps[event.key] * (event.shiftKey ? this.about.fps : 1));
    else return;
    event.preventDefault();
  }

  get now() {
    if (!this.alone) return this.video.currentTime;
    const { at, since, rate } = this.clock;
    return since === null ? at : Math.min(this.about.seconds, at + ((performance.now() - since) / 1000) * rate);
  }

  get playing() {
    return this.alone ? this.clock.since !== null && this.now < this.about.seconds : !this.video.paused && !this.video.ended;
  }

  seek(seconds) {
    const to = Math.max(0, Math.min(this.about.seconds - 1e-3, seconds));
    if (!this.alone) this.video.currentTime = to;
    this.clock.at = to;
    if (this.clock.since !== null) this.clock.since = performance.now();
    this.draw(true);
  }

  toggle() {
    if (this.alone) {
      const playing = this.playing;
      const at = this.now;
      this.clock.at = !playing && at >= this.about.seconds - 1e-2 ? 0 : at;
      this.clock.since = playing ? null : performance.now();
    } else if (this.video.paused) {
      this.video.play();
    } else {
      this.video.pause();
    }
    this.shown();
  }

  setRate(rate) {
    this.clock.at = this.now;
    if (this.clock.since !== null) this.clock.since = performance.now();
    this.clock.rate = rate;
    this.video.playbackRate = rate;
  }

  // What follows the time elsewhere on the page is told of every change of it.
  follow(listener) {
    this.listeners.push(listener);
    listener(this.now);
  }

  shown() {
    const play = this.find("play");
    const label = this.playing ? "Pause" : "Play";
    if (play.textContent !== label) play.textContent = label;
  }

  frameAt(seconds) {
    return Math.max(0, Math.min(this.about.frames - 1, Math.floor(seconds * this.about.fps + 1e-6)));
  }

  draw(anyway) {
    const seconds = this.now;
    const frame = this.frameAt(seconds);
    this.shown();
    if (!anyway && this.drawn === seconds) return;
    this.drawn = seconds;
    this.paint(frame);
    const range = this.find("range");
    if (document.activeElement !== range || this.playing) range.value = String(seconds);
    this.find("time").textContent = `${this.spell(seconds)} / ${this.spell(this.about.seconds)}`;
    this.best(seconds);
    this.listeners.forEach((listener) => listener(seconds));
  }

  spell(seconds) {
    const [whole, tenth] = [Math.floor(seconds), Math.floor((seconds % 1) * 10)];
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    const two = (number) => String(number).padStart(2, "0");
    return `${hours ? `${hours}:` : ""}${two(minutes)}:${two(whole % 60)}.${tenth}`;
  }

  paint(frame) {
    const { about, canvas, points } = this;
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.find("skeleton").checked) return;
    // Lines keep their width on the screen, however many px the video has.
    const unit = canvas.width / Math.max(1, canvas.clientWidth);
    for (let person = 0; person < about.persons; person += 1) {
      const first = (frame * about.persons + person) * about.joints * 2;
      const place = (joint) => {
        const [x, y] = [points[first + 2 * joint], points[first + 2 * joint + 1]];
        return x === SemlossViewer.MISSING ? null : [x, y];
      };
      drawFigure(pen, about, place, 3 * unit);
    }
  }

  // The five likeliest classes of the moment, as bars.
  best(seconds) {
    const { about, scores } = this;
    const row = Math.max(0, Math.min(about.rows - 1, Math.floor(seconds / about.row_seconds)));
    if (row === this.row) return;
    this.row = row;
    const classes = about.class_names.length;
    const values = Array.from(scores.subarray(row * classes, (row + 1) * classes));
    const order = values.map((value, index) => index).sort((a, b) => values[b] - values[a] || a - b).slice(0, 5);
    const list = this.find("best");
    list.replaceChildren(...order.map((index) => {
      const item = document.createElement("li");
      const share = values[index] / 255;
      item.style.setProperty("--share", share.toFixed(4));
      const [name, number] = [document.createElement("span"), document.createElement("b")];
      name.textContent = about.class_names[index];
      number.textContent = `${Math.round(100 * share)} %`;
      item.append(name, number);
      return item;
    }));
  }

  // A line over a Plotly figure at the time that is shown; a click on the figure goes there.
  tie(plot) {
    const line = document.createElement("div");
    line.className = "semloss-now";
    plot.parentElement.style.position = "relative";
    plot.parentElement.append(line);
    this.follow((seconds) => {
      const full = plot._fullLayout;
      if (!full || !full.xaxis) return;
      const { l, t, h } = full._size;
      const x = full.xaxis.l2p(seconds);
      const inside = x >= 0 && x <= full.xaxis._length;
      Object.assign(line.style, { display: inside ? "block" : "none", left: `${plot.offsetLeft + l + x}px`, top: `${plot.offsetTop + t}px`, height: `${h}px` });
    });
    plot.on("plotly_click", (event) => {
      const point = event.points[0];
      this.seek(point.customdata !== undefined && point.customdata !== null ? Number([].concat(point.customdata)[0]) : Number(point.x));
    });
    plot.on("plotly_relayout", () => this.draw(true));
  }

  close() {
    this.closed = true;
    this.video.pause();
    this.video.removeAttribute("src");
    this.listeners = [];
  }
};

// What was uploaded goes when the tab is closed, not only when the server misses it.
window.semlossLeave = (address) => {
  addEventListener("pagehide", (event) => {
    if (!event.persisted) navigator.sendBeacon(address);
  });
};

window.semlossOpen = async (viewerId, plotId, about) => {
  const there = async (test) => {
    for (let tries = 0; tries < 400; tries += 1) {
      const found = test();
      if (found) return found;
      await new Promise((done) => setTimeout(done, 25));
    }
    return null;
  };
  if (!(await there(() => document.querySelector(`#${viewerId} [data-part="canvas"]`)))) return;
  const viewer = await SemlossViewer.open(viewerId, about);
  const plot = await there(() => {
    const box = document.getElementById(plotId);
    const inner = box && (box.classList.contains("js-plotly-plot") ? box : box.querySelector(".js-plotly-plot"));
    return inner && inner.on && inner._fullLayout ? inner : null;
  });
  if (plot && !viewer.closed) viewer.tie(plot);
};
