"""report.html in a real browser: keyboard, phone, dark, and nothing fetched."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from chainrace.report import views
from chainrace.report.explored import ExplorationFolder
from tests.unit.explorations import HARMED, ORIGIN
from tests.unit.test_explored import SOUND
from tests.unit.test_explored_report import replayed

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
const worst = [...document.querySelectorAll("h1, p, dt, dd, td, th, li, code, button, summary")]
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
    """The page of an exploration of a script that harms."""
    (found,) = HARMED.findings
    doubted = replace(SOUND, doubts=("python3 (pid 812) changed ipv4/mangle by itself",))
    folder = ExplorationFolder(tmp_path_factory.mktemp("results"))
    folder.made_by(ORIGIN)
    folder.keep("original", found, replace(replayed(), schedule=found.schedule))
    folder.conclude({"fixed": doubted, "original": HARMED}, {"kernel": "6.12"}, interrupted=False)
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


def test_a_click_on_a_cell_tells_its_schedule(opened: webdriver.Chrome) -> None:
    chosen = cell(opened, "s1 k2 s* k*")
    chosen.click()
    told = opened.find_element(By.ID, "told").text
    assert "init_failed" in told
    assert "./lab replay --from " in told
    assert told.endswith(" --of original 's1 k2 s* k*'")
    assert chosen.get_attribute("aria-pressed") == "true"


def test_the_keyboard_alone_reaches_every_cell(opened: webdriver.Chrome) -> None:
    first = opened.find_element(By.CSS_SELECTOR, ".grid:not([hidden]) button[tabindex='0']")
    opened.execute_script("arguments[0].focus()", first)
    first.send_keys(Keys.ARROW_RIGHT, Keys.NULL)
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    reached = opened.switch_to.active_element
    reached.send_keys(Keys.ENTER)
    assert str(reached.get_attribute("data-schedule")) in opened.find_element(By.ID, "told").text
    inside = opened.find_elements(By.CSS_SELECTOR, ".grid:not([hidden]) button[tabindex='0']")
    assert [one.id for one in inside] == [reached.id]


def test_every_cell_has_a_name_for_a_screen_reader(opened: webdriver.Chrome) -> None:
    for one in opened.find_elements(By.CSS_SELECTOR, ".grid:not([hidden]) button"):
        assert one.accessible_name.startswith("begins after kubelet's step ")
        assert one.aria_role == "button"
    headings = [one.text for one in opened.find_elements(By.CSS_SELECTOR, "h1, h2")]
    assert headings == [
        "not proved",
        "Exhaustive exploration",
        "The node",
        "Made by",
        "Outcome map",
        "Failures",
    ]


def test_the_other_places_where_the_script_stops_can_be_chosen(opened: webdriver.Chrome) -> None:
    which = opened.find_element(By.ID, "which")
    options = which.find_elements(By.TAG_NAME, "option")
    assert len(options) > 1
    options[-1].click()
    (shown,) = opened.find_elements(By.CSS_SELECTOR, ".grid:not([hidden])")
    assert shown.get_attribute("id") == options[-1].get_attribute("value")


def test_a_failure_opens_to_its_timeline_and_its_rules(opened: webdriver.Chrome) -> None:
    failure = opened.find_element(By.CSS_SELECTOR, ".failure summary")
    failure.send_keys(Keys.ENTER)
    text = opened.find_element(By.CSS_SELECTOR, ".failure").text
    assert "[iptables.service] iptables -X" in text
    assert "Rules lost" in text


def test_on_a_phone_nothing_is_wider_than_the_screen(opened: webdriver.Chrome) -> None:
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": PHONE[0], "height": PHONE[1], "deviceScaleFactor": 1, "mobile": True},
    )
    wide = opened.execute_script("return document.documentElement.scrollWidth")
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= PHONE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(opened: webdriver.Chrome, scheme: str) -> None:
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    back = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")
    ratio, where = opened.execute_script(CONTRAST)
    assert ratio >= 4.5, where
