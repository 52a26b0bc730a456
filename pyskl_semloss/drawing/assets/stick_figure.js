"use strict";
// Draws a person. place(joint) is the point [x, y] on the canvas, or null where it is missing; width is that of a limb.
window.drawFigure = (pen, { limbs, sides }, place, width) => {
  const style = getComputedStyle(pen.canvas);
  const colors = ["--central", "--left", "--right"].map((name) => style.getPropertyValue(name).trim());
  const points = sides.map((side, joint) => place(joint));
  pen.lineWidth = width;
  pen.lineCap = "round";
  for (const [from, to, side] of limbs) {
    if (!points[from] || !points[to]) continue;
    pen.strokeStyle = colors[side];
    pen.beginPath();
    pen.moveTo(...points[from]);
    pen.lineTo(...points[to]);
    pen.stroke();
  }
  points.forEach((point, joint) => {
    if (!point) return;
    pen.fillStyle = colors[sides[joint]];
    pen.beginPath();
    pen.arc(...point, (7 / 6) * width, 0, 7);
    pen.fill();
  });
};
