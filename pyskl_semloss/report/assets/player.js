"use strict";
{
  const { data, byId } = app;
  const text = byId("keypoints").textContent;
  const bones = data.skeleton;
  const canvas = byId("canvas");
  const scrub = byId("scrub");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let clip = null;
  let frame = 0;
  let playing = false;
  let last = 0;

  // Inverse of pack_clip in clips.py; only the clip on screen is ever decoded.
  const decode = (entry) => {
    const [place, frames, total, step, persons, x, y, width, height, ...view] = entry;
    const points = persons * bones.sides.length;
    const size = points * 8 + frames * points * 2;
    const raw = atob(text.slice((place / 3) * 4, (Math.ceil((place + size) / 3)) * 4));
    const bytes = Uint8Array.from(raw, (one) => one.charCodeAt(0));
    const ranges = new DataView(bytes.buffer);
    const xy = new Float32Array(frames * points * 2).fill(NaN);
    for (let point = 0; point < points; point += 1) {
      for (const axis of [0, 1]) {
        const [low, side] = axis ? [y, height] : [x, width];
        const from = low + (ranges.getUint16(point * 8 + axis * 2, true) / 65535) * side;
        const to = low + (ranges.getUint16(point * 8 + 4 + axis * 2, true) / 65535) * side;
        for (let t = 0; t < frames; t += 1) {
          const at = (t * points + point) * 2 + axis;
          const level = bytes[points * 8 + at];
          if (level < 255) xy[at] = from + (level / 254) * (to - from);
        }
      }
    }
    return { frames, total, step, persons, view, xy };
  };

  const draw = () => {
    const ratio = devicePixelRatio || 1;
    const size = canvas.clientWidth || 400;
    const pen = canvas.getContext("2d");
    if (canvas.width !== Math.round(size * ratio)) canvas.width = canvas.height = Math.round(size * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size, size);
    if (!clip) return;
    const [x, y, width, height] = clip.view;
    const scale = (size * 0.84) / Math.max(width, height, 1e-3);
    for (let person = 0; person < clip.persons; person += 1) {
      const place = (joint) => {
        const [px, py] = app.player.point(person, joint);
        if (Number.isNaN(px) || Number.isNaN(py)) return null;
        return [size / 2 + (px - x - width / 2) * scale, size / 2 + (py - y - height / 2) * scale];
      };
      drawFigure(pen, bones, place, Math.max(1.5, size / 150));
    }
  };

  const show = (next) => {
    if (!clip) return;
    frame = ((next % clip.frames) + clip.frames) % clip.frames;
    scrub.value = frame;
    scrub.setAttribute("aria-valuetext", `frame ${frame * clip.step + 1} of ${clip.total}`);
    const every = clip.step === 1 ? "" : `, every ${clip.step}${clip.step === 2 ? "nd" : clip.step === 3 ? "rd" : "th"} is kept`;
    byId("frame").textContent =
      `Frame ${frame * clip.step + 1} of ${clip.total}${every}; 1× is ${data.fps} frames a second. Left is blue, right is orange.`;
    draw();
  };
  const tick = (now) => {
    if (!playing) return;
    const pause = (1000 * clip.step) / (data.fps * Number(byId("speed").value));
    if (now - last >= pause) {
      last = now - last > 3 * pause ? now : last + pause;
      show(frame + 1);
    }
    requestAnimationFrame(tick);
  };
  const play = (on) => {
    playing = Boolean(on && clip);
    byId("play").textContent = playing ? "Pause" : "Play";
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    if (playing) {
      last = performance.now();
      requestAnimationFrame(tick);
    }
  };

  app.player = {
    open(entry, reason) {
      clip = entry ? decode(entry) : null;
      byId("transport").hidden = !clip;
      byId("no-picture").hidden = Boolean(clip);
      byId("no-picture").textContent = clip ? "" : reason;
      byId("frame").textContent = "";
      if (!clip) play(false);
      else scrub.max = clip.frames - 1;
      canvas.hidden = !clip;
      show(0);
    },
    toggle: () => play(!playing),
    step: (by) => { play(false); show(frame + by); },
    speed: (by) => {
      const list = byId("speed");
      list.selectedIndex = Math.min(list.options.length - 1, Math.max(0, list.selectedIndex + by));
    },
    play: () => play(!still.matches),
    get state() { return { frame, playing, frames: clip ? clip.frames : 0 }; },
    point: (person, joint) => {
      const at = ((frame * clip.persons + person) * bones.sides.length + joint) * 2;
      return [clip.xy[at], clip.xy[at + 1]];
    },
  };
  byId("play").addEventListener("click", () => play(!playing));
  byId("back").addEventListener("click", () => app.player.step(-1));
  byId("forth").addEventListener("click", () => app.player.step(1));
  scrub.addEventListener("input", () => { play(false); show(Number(scrub.value)); });
  new ResizeObserver(draw).observe(canvas);
  app.onTheme(draw);
}
