"""What the tests of the app's page do to it, and what they see on it."""

import contextlib
import json

FAINT = """(() => {
    const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (colour) => { const [r, g, b] = colour.slice(0, 3).map((one) => one / 255)
        .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const ground = (node) => { for (let one = node; one; one = one.parentElement) {
        const colour = numbers(getComputedStyle(one).backgroundColor);
        if (colour.length < 4 || colour[3] > 0.99) return colour; } return [255, 255, 255]; };
    const found = [];
    for (const node of document.querySelectorAll('.semloss-page *')) {
        const written = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
        if (!written || !node.getClientRects().length || node.closest('.hoverlayer')) continue;
        const style = getComputedStyle(node);
        const [a, b] = [light(numbers(node.closest('svg') ? style.fill : style.color)), light(ground(node))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push(`${node.className.baseVal ?? node.className}: ${node.textContent} ${ratio}`);
    }
    return found;
})()"""


def visit(browser, app):
    browser.events.clear()
    browser.send("Page.navigate", url=app.url)
    browser.until("document.querySelector('input[type=file]') && window.socket?.connected")


def upload(page, *paths):
    root = page.send("DOM.getDocument")["root"]["nodeId"]
    node = page.send("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
    page.send("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])


def texts(page, selector):
    return page.js(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent.trim())")


def opened(page, path):
    upload(page, path)
    page.until("document.querySelector('[data-ready]')", 90)
    page.until("document.querySelector('.semloss-now') && document.querySelector('.js-plotly-plot .barlayer path')")


def cards(page, count, seconds=90):
    """What the lines of the files say when all of them have ended."""
    page.until(
        f"(all => all.length === {count} && all.every((one) => /segment|failed/.test(one.textContent)))"
        "([...document.querySelectorAll('.semloss-state')])",
        seconds,
    )
    names, states = texts(page, ".semloss-name"), texts(page, ".semloss-state")
    problems = page.js("[...document.querySelectorAll('.semloss-problem')].map((one) => one.textContent)")
    return list(zip(names, states, problems, strict=False))


def bars(page, name):
    return page.js(f"Array.from(document.querySelector('.js-plotly-plot')._fullData[0].{name})")


def colour(page, x, y):
    return page.js(f"[...semlossViewer.canvas.getContext('2d').getImageData({x}, {y}, 1, 1).data]")


def drawn_box(page):
    """Left, top, right and bottom of what is drawn on the canvas, px of the video."""
    return page.js("""(({width, height}, data) => {
        const box = [width, height, 0, 0];
        for (let place = 3; place < data.length; place += 4) {
            if (!data[place]) continue;
            const [x, y] = [((place - 3) / 4) % width, Math.floor(place / 4 / width)];
            box[0] = Math.min(box[0], x);
            box[1] = Math.min(box[1], y);
            box[2] = Math.max(box[2], x + 1);
            box[3] = Math.max(box[3], y + 1);
        }
        return box;
    })(semlossViewer.canvas, semlossViewer.canvas.getContext('2d').getImageData(0, 0, semlossViewer.canvas.width,
        semlossViewer.canvas.height).data)""")


def undated(content):
    """Without the moment at which an ELAN file was written."""
    head, found, rest = content.partition(b' DATE="')
    return head + (found and rest.partition(b'"')[2])


@contextlib.contextmanager
def other_tab(browser, app):
    """A second tab of the same browser, which is the one that is driven meanwhile."""
    first, events, browser.session = browser.session, browser.events, None
    browser.events = []
    target = browser.send("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "DOM"):
        browser.send(f"{domain}.enable")
    visit(browser, app)
    try:
        yield browser
    finally:
        browser.session = None
        browser.send("Target.closeTarget", targetId=target)
        browser.session, browser.events = first, events


def faint_texts(page):
    """Texts whose contrast to their ground is below 4.5."""
    return page.js(FAINT)


def nameless_controls(page):
    """Controls that say nothing to who does not see them."""
    controls = ".semloss-page :is(button, a, select, input:not([type=file]))"
    return page.js(f"""[...document.querySelectorAll({json.dumps(controls)})]
        .filter((one) => !one.textContent.trim() && !one.ariaLabel && !one.labels?.length)
        .map((one) => one.outerHTML)""")
