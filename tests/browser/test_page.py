"""report.html in a real browser: keyboard, phone, dark, and nothing fetched."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from chainrace.model.mode import INIT_FAILED
from chainrace.report import views
from chainrace.report.explored import ExplorationFolder
from chainrace.subjects.kubelet.modes import HINT_LOST
from tests.unit.explorations import HARMED, ORIGIN
from tests.unit.test_explored import SOUND, finding
from tests.unit.test_explored_report import replayed
from tests.unit.timelines import COMMANDS, FAILS, HARMS, JUMP, SSH, keep

PHONE = (390, 844)
DESK = (1200, 900)
# Whether all text stands out from what is behind it (WCAG 2.1, 1.4.3: 4.5 to 1).
CONTRAST = """
const light = (rgb) => {
  const [r, g, b] = rgb.match(/[\\d.]+/g).slice(0, 3).map((one) => one / 255)
    .map((one) => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/rgba\\(.*, 0\\)|transparent/.test(colour)) return colour;
  }
  return getComputedStyle(document.documentElement).backgroundColor;
};
document.querySelectorAll("details").forEach((one) => { one.open = true; });
const worst = [...document.querySelectorAll(
  "h1, h2, h3, h4, p, a, b, dt, dd, td, th, li, code, button, span, summary, pre, option")]
  .filter((element) => element.innerText && element.offsetParent)
  .map((element) => {
    const own = getComputedStyle(element).color;
    const [a, b] = [light(own), light(behind(element))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), element.outerHTML.slice(0, 80)];
  })
  .sort((x, y) => x[0] - y[0]);
return worst[0];
"""


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an exploration of a script that harms: one finding has steps, one has none."""
    found = (*HARMED.findings, finding("k4 s3 k* s*", HINT_LOST))
    harmed = replace(HARMED, findings=found)
    doubted = replace(SOUND, doubts=("python3 (pid 812) changed ipv4/mangle by itself",))
    folder = ExplorationFolder(tmp_path_factory.mktemp("results"))
    folder.made_by(ORIGIN)
    for one in found:
        folder.keep("original", one, replace(replayed(), schedule=one.schedule, steps=()))
    keep(folder.path / "findings" / f"original-ipv4-{INIT_FAILED}")
    folder.conclude({"fixed": doubted, "original": harmed}, {"kernel": "6.12"}, interrupted=False)
    return views.draw(folder.path)


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    # Root may not use Chromium's own sandbox; the page is the lab's.
    for argument in ("--headless", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = "/usr/bin/chromium"
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: webdriver.Chrome, file: Path) -> webdriver.Chrome:
    browser.set_window_size(*DESK)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.get(file.as_uri())
    return browser


def cell(opened: webdriver.Chrome, schedule: str) -> WebElement:
    return opened.find_element(By.CSS_SELECTOR, f".grid:not([hidden]) [data-schedule='{schedule}']")


def test_nothing_is_fetched_and_nothing_complains(opened: webdriver.Chrome) -> None:
    fetched = opened.execute_script("return performance.getEntriesByType('resource').length")
    assert fetched == 0
    assert opened.get_log("browser") == []


def told(opened: webdriver.Chrome) -> str:
    return opened.find_element(By.ID, "told").text


def test_the_shortest_cell_that_fails_is_chosen_at_first(opened: webdriver.Chrome) -> None:
    (pressed,) = opened.find_elements(By.CSS_SELECTOR, ".grid button[aria-pressed='true']")
    assert pressed.is_displayed()
    assert pressed.get_attribute("data-schedule") == "s1 k1 s* k*"
    assert "s1 k1 s* k*" in told(opened)
    assert "init_failed, hint_lost: the script begins before kubelet's first step" in told(opened)


def test_a_click_on_a_cell_tells_its_schedule_and_both_commands(opened: webdriver.Chrome) -> None:
    chosen = cell(opened, "s1 k2 s* k*")
    chosen.click()
    said = told(opened)
    assert said.startswith("init_failed: ")
    assert "is stopped after its step 1 (iptables-save)" in said
    assert "goes on after kubelet's step 2 (iptables -w 5 -N CHAIN-1 -t mangle)" in said
    assert "./lab replay --from " in said
    assert " --of original 's1 k2 s* k*'" in said
    assert chosen.get_attribute("aria-pressed") == "true"


def test_a_cell_that_is_pointed_at_says_both_commands(opened: webdriver.Chrome) -> None:
    pointed = cell(opened, "k1 s1 k2 s* k*")
    assert not pointed.get_attribute("title")
    ActionChains(opened).move_to_element(pointed).perform()
    title = str(pointed.get_attribute("title"))
    assert "begins after kubelet's step 1 (iptables -w 5 -N CHAIN-0 -t mangle)" in title
    assert "(iptables-save)" in title


def test_the_axes_of_the_map_have_titles(opened: webdriver.Chrome) -> None:
    titles = [one.text for one in opened.find_elements(By.CSS_SELECTOR, ".across, .down")]
    assert "the subject's steps when the script goes on →" in titles
    assert "← the subject's steps when the script begins" in titles


def test_the_keyboard_alone_reaches_every_cell(opened: webdriver.Chrome) -> None:
    first = opened.find_element(By.CSS_SELECTOR, ".grid:not([hidden]) td button[tabindex='0']")
    opened.execute_script("arguments[0].focus()", first)
    first.send_keys(Keys.ARROW_RIGHT, Keys.NULL)
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    reached = opened.switch_to.active_element
    reached.send_keys(Keys.ENTER)
    assert str(reached.get_attribute("data-schedule")) in told(opened)
    inside = opened.find_elements(By.CSS_SELECTOR, ".grid:not([hidden]) td button[tabindex='0']")
    assert [one.id for one in inside] == [reached.id]


def test_every_cell_has_a_name_for_a_screen_reader(opened: webdriver.Chrome) -> None:
    for one in opened.find_elements(By.CSS_SELECTOR, ".grid:not([hidden]) button"):
        assert one.accessible_name.startswith("begins after kubelet's step ")
        assert one.aria_role == "button"
    headings = [one.text for one in opened.find_elements(By.CSS_SELECTOR, "h1, h2")]
    assert headings == [
        "not proved",
        "How the original fails, as expected",
        "What the verdict covers, and what not",
        "Exhaustive exploration",
        "Outcome map",
        "How the original fails: the evidence",
        "The node",
        "Made by",
        "Glossary",
    ]


def test_the_other_places_where_the_script_stops_can_be_chosen(opened: webdriver.Chrome) -> None:
    which = opened.find_element(By.ID, "which")
    options = which.find_elements(By.TAG_NAME, "option")
    assert len(options) > 1
    options[-1].click()
    (shown,) = opened.find_elements(By.CSS_SELECTOR, ".grid:not([hidden])")
    assert shown.get_attribute("id") == options[-1].get_attribute("value")


def test_a_failure_opens_to_its_timeline_and_its_rules(opened: webdriver.Chrome) -> None:
    failure = opened.find_element(By.ID, "finding-2")
    failure.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert "[iptables.service] iptables -X" in failure.text
    assert "Rules lost" in failure.text


def test_a_link_to_evidence_opens_it(opened: webdriver.Chrome) -> None:
    failure = opened.find_element(By.ID, "finding-2")
    assert failure.get_attribute("open") is None
    opened.find_element(By.CSS_SELECTOR, "a[href='#finding-2']").send_keys(Keys.ENTER)
    assert failure.get_attribute("open")
    assert opened.execute_script("return arguments[0].getBoundingClientRect().top", failure) < 900


def test_every_link_within_the_page_leads_somewhere(opened: webdriver.Chrome) -> None:
    broken = opened.execute_script(
        "return [...document.querySelectorAll('a[href^=\"#\"]')].map((one) => one.hash.slice(1))"
        ".filter((name) => !document.getElementById(name))"
    )
    assert broken == []


# What the page hands to the clipboard, or none that it is refused.
CLIPBOARD = """
window.copied = [];
const writeText = async (text) => {{
  if ({refuses}) throw new Error("refused");
  copied.push(text);
}};
Object.defineProperty(navigator, "clipboard", {{value: {given}, configurable: true}});
"""


def copy_button(opened: webdriver.Chrome) -> tuple[WebElement, str]:
    """The first command's button, and the command."""
    row = opened.find_element(By.CSS_SELECTOR, ".mode .command")
    return row.find_element(By.TAG_NAME, "button"), row.find_element(By.TAG_NAME, "code").text


def test_a_command_is_copied_by_keyboard_and_the_button_says_so(opened: webdriver.Chrome) -> None:
    opened.execute_script(CLIPBOARD.format(refuses="false", given="{writeText}"))
    button, command = copy_button(opened)
    button.send_keys(Keys.ENTER)
    WebDriverWait(opened, 5).until(lambda _: button.text == "copied")
    assert opened.execute_script("return copied") == [command]
    assert command.startswith("./lab replay ")


def test_a_command_is_copied_by_the_browsers_own_clipboard(opened: webdriver.Chrome) -> None:
    granted = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    opened.execute_cdp_cmd("Browser.grantPermissions", granted)
    button, command = copy_button(opened)
    button.click()
    WebDriverWait(opened, 5).until(lambda _: button.text == "copied")
    pasted = opened.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    opened.execute_cdp_cmd("Browser.resetPermissions", {})
    assert pasted == command


@pytest.mark.parametrize("given", ["{writeText}", "undefined"])
def test_where_the_clipboard_is_refused_the_command_is_selected(
    opened: webdriver.Chrome, given: str
) -> None:
    opened.execute_script(CLIPBOARD.format(refuses="true", given=given))
    button, command = copy_button(opened)
    button.send_keys(Keys.SPACE)
    WebDriverWait(opened, 5).until(lambda _: button.text == "selected")
    assert opened.execute_script("return getSelection().toString()") == command
    assert opened.get_log("browser") == []


def boxes(opened: webdriver.Chrome) -> list[WebElement]:
    return opened.find_elements(By.CSS_SELECTOR, ".timeline .box")


def shown(opened: webdriver.Chrome) -> str:
    """The one step that is shown."""
    (step,) = opened.find_elements(By.CSS_SELECTOR, ".timeline .step:not([hidden])")
    return step.text


def test_a_timeline_shows_the_step_that_does_the_harm_at_first(opened: webdriver.Chrome) -> None:
    harm = boxes(opened)[HARMS]
    assert harm.is_displayed()
    assert harm.get_attribute("aria-pressed") == "true"
    assert harm.text.split("\n") == ["s5 ✕ harms", "-2"]
    assert "iptables -t filter -F" in shown(opened)
    assert "exit code 0" in shown(opened)
    assert f"- {JUMP}" in shown(opened)
    left, right = opened.execute_script(
        "const box = arguments[0].getBoundingClientRect();"
        "const place = arguments[0].closest('.scroll').getBoundingClientRect();"
        "return [box.left - place.left, place.right - box.right];",
        harm,
    )
    assert min(left, right) >= 0


def test_a_click_on_a_box_shows_its_step(opened: webdriver.Chrome) -> None:
    boxes(opened)[FAILS].click()
    assert COMMANDS[FAILS][1] in shown(opened)
    assert "exit code 2" in shown(opened)
    assert "! fails" in shown(opened)
    assert "It changed no rule." in shown(opened)


def test_arrow_keys_move_along_the_timeline_and_show_each_step(opened: webdriver.Chrome) -> None:
    harm = boxes(opened)[HARMS]
    opened.execute_script("arguments[0].focus()", harm)
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert COMMANDS[HARMS + 1][1] in shown(opened)
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert f"+ {SSH}" in shown(opened)
    opened.switch_to.active_element.send_keys(Keys.ARROW_UP)
    assert opened.switch_to.active_element.accessible_name.startswith("x1, kubelet IPv6")
    opened.switch_to.active_element.send_keys(Keys.ARROW_UP)
    assert "kubelet" in shown(opened)
    opened.switch_to.active_element.send_keys(Keys.HOME)
    assert "script begins" in shown(opened)
    opened.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert "script begins" in shown(opened)
    opened.switch_to.active_element.send_keys(Keys.END)
    assert COMMANDS[-1][1] in shown(opened)
    inside = opened.find_elements(By.CSS_SELECTOR, ".box[tabindex='0']")
    assert [one.id for one in inside] == [opened.switch_to.active_element.id]


def test_enter_on_a_box_shows_its_step(opened: webdriver.Chrome) -> None:
    box = boxes(opened)[1]
    box.send_keys(Keys.ENTER)
    assert "iptables-save" in shown(opened)
    assert box.get_attribute("aria-pressed") == "true"


def test_a_step_is_marked_by_more_than_its_colour(opened: webdriver.Chrome) -> None:
    for number, mark in ((HARMS, "harms"), (FAILS, "fails")):
        box = boxes(opened)[number]
        assert mark in box.text
        assert box.accessible_name.endswith(mark)
        assert box.aria_role == "button"
    signs = [one.text[:2] for one in opened.find_elements(By.CSS_SELECTOR, ".step .rules li")]
    assert set(signs) - {""} == {"- "}


@pytest.fixture
def phone(opened: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """The page on a phone, with all that can be unfolded."""
    size = {"width": PHONE[0], "height": PHONE[1], "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    opened.refresh()
    opened.execute_script(
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
    )
    yield opened
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_on_a_phone_nothing_is_wider_than_the_screen(phone: webdriver.Chrome) -> None:
    assert phone.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]


def test_on_a_phone_the_timeline_scrolls_within_itself_and_says_so(phone: webdriver.Chrome) -> None:
    wide, place = phone.execute_script(
        "const one = document.querySelector('.timeline .scroll');"
        "return [one.scrollWidth, one.clientWidth]"
    )
    assert place < PHONE[0] < wide
    hint = phone.find_element(By.CSS_SELECTOR, ".timeline .hint")
    WebDriverWait(phone, 5).until(lambda _: hint.is_displayed())
    boxes(phone)[FAILS].click()
    assert COMMANDS[FAILS][1] in shown(phone)


def test_what_is_not_too_wide_has_no_hint(opened: webdriver.Chrome) -> None:
    opened.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 50))")
    assert not opened.find_element(By.CSS_SELECTOR, ".grid:not([hidden]) .hint").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(opened: webdriver.Chrome, scheme: str) -> None:
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    back = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")
    ratio, where = opened.execute_script(CONTRAST)
    assert ratio >= 4.5, where
