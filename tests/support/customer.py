"""A customer at a browser, who finds things by the words on them: the words are contract, in both languages.

    customer = Customer(visitor("zh", phone=True), server, "zh")
    customer.buy()
    customer.say_new()
    …
    assert customer.h1 == "开通成功"

Each step is one page. Nothing here knows an address but the printed doors, nor a class or an id.
"""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.support.factories import Person
from tests.support.over_http import HttpWalk, until
from tests.support.server import Server

CHINESE = {
    # The words are contract. The sandbox's AWS words are English in both languages there.
    "Site": "站点",
    "Username": "用户名",
    "Email": "邮箱",
    "Password": "密码",
    "Confirm password": "确认密码",
    "Verification code": "验证码",
    "Company name": "公司名称",
    "I agree to": "我同意",
    "Workspace name": "工作空间名称",
    "Workspace language": "工作空间语言",
    "I have no Billing Center account": "没有费用中心账号",
    "I have a Billing Center account": "已有费用中心账号",
    "Next": "下一步",
    "Register": "注册",
    "Activate": "开通",
    "Confirm": "确认",
    "Sign in": "登录",
    "Subscribe to AWS": "前往 AWS 订阅",
    "Start by installing the agent": "从安装采集器开始",
    # What else a person presses or reads on the way.
    "Oregon": "俄勒冈",
    "English": "English",
    "Look now": "立即查询",
    "Forgot your password?": "忘记密码？",
    "Send code": "发送验证码",
    "Choose a new password": "设置新密码",
    "New password": "新密码",
    "Current password": "当前密码",
    "Save and sign in": "保存并登录",
    "Change password": "修改密码",
    "Sign out everywhere": "退出全部登录",
    "AWS Marketplace": "AWS Marketplace",
    "Buyer’s AWS account": "买家的 AWS 账号",
    "Sent to": "收件人",
    "Show": "查看",
    "Do you have a Billing Center account?": "您有费用中心账号吗？",
    "Basic information": "基本信息",
    "Enter the code from your email": "输入邮件中的验证码",
    "Company information": "企业信息",
    "Activation method": "选择开通方式",
    "Subscribe at AWS": "在 AWS 订阅",
    "Confirm that AWS pays": "确认由 AWS 付款",
    "Your workspace is being made": "正在创建您的工作空间",
    "Activation successful": "开通成功",
    "Cloud accounts": "云账号",
    # … in the Billing Center …
    "Workspace management": "工作空间管理",
    "Change settlement method": "更改结算方式",
    "Settlement method": "结算方式",
    "AWS account settlement": "AWS 账号结算",
    "Registered cloud account settlement": "已登记云账号结算",
    "Confirm submission": "确认提交",
    # … and who binds a purchase to an account they have.
    "Bind Billing Center account": "绑定费用中心账号",
    "Bind workspace": "绑定工作空间",
    "Bind": "绑定",
    "Bound": "已绑定",
    "Create workspace": "创建工作空间",
    "I have a console account": "已有账号",
    "I don't have a console account": "没有账号",
    "Create": "创建",
    "Register and create workspace": "注册并创建工作空间",
    "Choose a site": "选择站点",
    "Site for new workspaces": "新工作空间的站点",
    "Use this site": "使用该站点",
    "Choose another username": "换一个用户名",
}


class Customer:
    """Somebody at a page: ``person`` is who they are, ``account`` their number at AWS."""

    def __init__(
        self, page: Page, server: Server, language: str = "en", *, person: Person | None = None
    ) -> None:
        self.page = page
        self.server = server
        self.language = language
        self.person = person or Person()
        self.site = "Oregon"
        self.account = f"7828582{self.person.number:05d}"

    # ── how a person finds things ───────────────────────────────────────────────────────────────────────────

    def word(self, english: str) -> str:
        return CHINESE.get(english, english) if self.language == "zh" else english

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(self.word(label), exact=True)

    def choice(self, group: str, name: str) -> Locator:
        of = self.page.get_by_role("radiogroup", name=self.word(group), exact=True)
        return of.get_by_role("radio", name=self.word(name))

    def agree(self) -> None:
        self.page.get_by_role("checkbox", name=self.word("I agree to")).check()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=self.word(button), exact=True).click()

    def follow(self, link: str) -> None:
        self.page.get_by_role("link", name=self.word(link), exact=True).click()

    @property
    def h1(self) -> str:
        return self.page.get_by_role("heading", level=1).inner_text()

    def reads(self, heading: str, within: float = 5) -> None:
        """Wait so many seconds for the page with this heading."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(
            self.word(heading), timeout=within * 1000
        )

    # ── the way, page by page ───────────────────────────────────────────────────────────────────────────────

    def open_product(self) -> None:
        self.page.goto(f"{self.server.sandbox_url}/aws/")

    def buy(self) -> None:
        """From the product page at the marketplace to the page that leads here."""
        self.field("Buyer’s AWS account").fill(self.account)
        self.press("Continue Subscription")
        self.press("Subscribe")

    def set_up(self) -> None:
        """Leave the marketplace for the wizard: a POST from another site."""
        self.press("Set Up Your Account")

    def say_new(self) -> None:
        self.page.get_by_role("radio", name=self.word("I have no Billing Center account")).check()
        self.press("Next")

    def give_basics(self) -> None:
        self.choice("Site", self.site).check()
        self.field("Username").fill(self.person.username)
        self.field("Email").fill(self.person.email)
        self.field("Password").fill(self.person.password)
        again = self.field("Confirm password")
        if again.count():
            again.fill(self.person.password)
        self.press("Next")

    def read_code(self) -> str:
        """Look into the mailbox in another tab once the mail is there, and read the code in it."""
        self.server.mail(self.person.email)
        tab = self.page.context.new_page()
        tab.goto(f"{self.server.sandbox_url}/mailbox")
        tab.get_by_label(self.word("Sent to")).fill(self.person.email)
        tab.get_by_role("button", name=self.word("Show"), exact=True).click()
        mail = tab.get_by_role("link", name=re.compile(r"^\d{6} "))
        mail.first.click()
        code: str = tab.frame_locator("iframe").get_by_text(re.compile(r"^\s*\d{6}\s*$")).inner_text()
        tab.close()
        return code.strip()

    def code_after(self, act: Callable[[], None], to: str) -> str:
        """Do something that mails a code, and read that code off the mail's subject once it is there."""
        before = {mail["id"] for mail in self.server.mails(to)}
        act()
        found: list[str] = []

        def look() -> bool:
            new = (mail["subject"] for mail in self.server.mails(to) if mail["id"] not in before)
            found.extend(subject[:6] for subject in new if re.match(r"\d{6}\b", subject))
            return bool(found)

        until(look, f"no code comes to {to}", every=0.05)
        return found[0]

    def enter_code(self, code: str) -> None:
        self.field("Verification code").fill(code)
        self.press("Confirm")

    def give_company(self) -> None:
        self.field("Company name").fill(self.person.company)
        self.agree()
        self.press("Register")

    def activate(self, method: str | None = None) -> None:
        if method:
            self.choice("Activation method", method).check()
        self.field("Workspace name").fill("Harbour")
        self.choice("Workspace language", "English").check()
        self.agree()
        self.press("Activate")

    def look_until_made(self) -> None:
        """Press *Look now* until the workspace is there."""
        made = self.page.get_by_role("heading", level=1, name=self.word("Activation successful"))
        look = self.page.get_by_role("link", name=self.word("Look now"))
        expect(made.or_(look)).to_be_visible()
        self.server.mail(self.person.email, subject="Harbour")
        if not made.is_visible():
            look.click()
        expect(made).to_be_visible()

    # ── the way of somebody who has a Billing Center account ────────────────────────────────────────────────

    def land(self, **wish: object) -> None:
        """A purchase, and from its page at the marketplace to the wizard."""
        bought = self.server.buy(**wish)
        self.account = bought["customerAWSAccountId"]
        self.page.goto(f"{self.server.sandbox_url}/aws/software/{bought['agreementId']}/set-up")
        self.set_up()

    def say_have(self) -> None:
        self.page.get_by_role("radio", name=self.word("I have a Billing Center account")).check()
        self.press("Next")

    def name_account(self) -> None:
        self.field("Username").fill(self.person.username)
        self.press("Next")

    def to_workspaces(self) -> None:
        self.land()
        self.say_have()
        self.enter_code(self.code_after(self.name_account, self.person.email))
        self.reads("Bind workspace")

    def row(self, workspace: str) -> Locator:
        rows = self.page.get_by_role("main").get_by_role("listitem")
        return rows.filter(has=self.page.get_by_text(workspace, exact=True))

    def open_bind(self, workspace: str) -> None:
        self.row(workspace).get_by_role("link", name=self.word("Bind"), exact=True).click()

    def choose_site(self, name: str) -> None:
        """At the top of the page, where none was chosen."""
        self.page.get_by_role("button", name=self.word("Choose a site")).click()
        self.choice("Site for new workspaces", name).check()
        self.press("Use this site")

    def fill_in_workspace(self, name: str) -> None:
        """The site is asked for where none is chosen at the top."""
        if (site := self.choice("Site", self.site)).count():
            site.check()
        self.field("Workspace name").fill(name)
        self.choice("Workspace language", "English").check()

    def create(self, name: str, owner: Person) -> None:
        """… for somebody who has a console account."""
        self.follow("Create workspace")
        self.fill_in_workspace(name)
        self.field("Email").fill(owner.email)
        self.finish_creating(owner, "Create")

    def register_and_create(self, name: str, owner: Person) -> None:
        """… for somebody who has none."""
        self.follow("Create workspace")
        self.follow("I don't have a console account")
        self.fill_in_workspace(name)
        self.field("Username").fill(owner.username)
        self.field("Password").fill(owner.password)
        if self.field("Confirm password").count():
            self.field("Confirm password").fill(owner.password)
        self.field("Email").fill(owner.email)
        self.finish_creating(owner, "Register and create workspace")

    def finish_creating(self, owner: Person, button: str) -> None:
        code = self.code_after(lambda: self.press("Send code"), owner.email)
        self.field("Verification code").fill(code)
        self.agree()
        self.press(button)

    def sign_in(self) -> None:
        """On the sign-in page: the site is chosen where a link brought them."""
        if not self.choice("Site", self.site).is_checked():
            self.choice("Site", self.site).check()
        self.field("Username").fill(self.person.username)
        self.field("Password").fill(self.person.password)
        self.press("Sign in")

    def take_over(self, walk: HttpWalk, *, keep_person: bool = False) -> None:
        """Go on in this browser where a walk over plain HTTP is: its person, its cookies, its page."""
        self.person = self.person if keep_person else walk.person
        self.account = walk.bought.get("customerAWSAccountId", self.account)
        jar = walk.client.cookies  # type: ignore[attr-defined]
        self.page.context.add_cookies(
            [
                {
                    "name": cookie.name,
                    "value": cookie.value,
                    "url": self.server.url,
                    "httpOnly": True,
                    "sameSite": "Lax",
                }
                for cookie in jar
            ]
        )
        self.page.goto(self.server.url + walk.page.url)
