"""The table of tools about tools, as hosts are told of them; custom_tools.py does what they do."""

from server.consent import Consent
from server.custom_tool_models import (
    AttachTool,
    CreateTool,
    DeleteTool,
    GetTool,
    ListTools,
    RunStoredTool,
    ToolAttached,
    ToolDeleted,
    ToolPage,
    ToolRan,
    ToolShown,
    UpdateTool,
)
from server.custom_tool_views import (
    attached_text,
    deleted_text,
    page_text,
    ran_text,
    shown_text,
)
from server.custom_tools import CustomTools
from server.memory_access import MemoryAccess
from server.memory_tools import DELEGATING, FULL_ONLY
from server.package_consent import PackageConsent, packages_text
from server.package_models import AskPackages, PackagesShown
from server.registry import Tool


def custom_tools(access: MemoryAccess, consent: Consent) -> tuple[Tool, ...]:
    """These tools, in the order hosts list them."""
    packages = PackageConsent(consent)
    do = CustomTools(access, packages)
    return (*_looking(do), *_writing(do), *_giving(do), _packages(packages))


def _looking(do: CustomTools) -> tuple[Tool, ...]:
    return (
        Tool(
            name="tool_list",
            title="List custom tools",
            description="The Python tools that people and agents wrote.",
            arguments=ListTools,
            result=ToolPage,
            run=do.list,
            text=page_text,
            read_only=True,
            toolsets=DELEGATING,
        ),
        Tool(
            name="tool_get",
            title="Show a custom tool",
            description="A custom tool's settings and source, now or at an earlier version.",
            arguments=GetTool,
            result=ToolShown,
            run=do.get,
            text=shown_text,
            read_only=True,
            toolsets=DELEGATING,
        ),
    )


def _writing(do: CustomTools) -> tuple[Tool, ...]:
    return (
        Tool(
            name="tool_create",
            title="Create a custom tool",
            description="Keep a Python function as a tool that agents can be given.",
            arguments=CreateTool,
            result=ToolShown,
            run=do.create,
            text=shown_text,
            toolsets=DELEGATING,
            for_all=True,
        ),
        Tool(
            name="tool_update",
            title="Change a custom tool",
            description="Change a custom tool for all its agents; earlier versions stay readable.",
            arguments=UpdateTool,
            result=ToolShown,
            run=do.update,
            text=shown_text,
            destructive=True,
            idempotent=True,
            toolsets=DELEGATING,
            for_all=True,
        ),
        Tool(
            name="tool_delete",
            title="Delete a custom tool",
            description="Delete a custom tool and take it from its agents.",
            arguments=DeleteTool,
            result=ToolDeleted,
            run=do.delete,
            text=deleted_text,
            destructive=True,
            toolsets=FULL_ONLY,
            for_all=True,
        ),
    )


def _packages(packages: PackageConsent) -> Tool:
    return Tool(
        name="tool_packages",
        title="Packages of custom tools",
        description="The packages that custom tools import; for one tool a person is asked, if"
        " nobody has agreed to them yet.",
        arguments=AskPackages,
        result=PackagesShown,
        run=packages.show,
        text=packages_text,
        idempotent=True,
        toolsets=FULL_ONLY,
        for_all=True,
    )


def _giving(do: CustomTools) -> tuple[Tool, ...]:
    return (
        Tool(
            name="tool_attach",
            title="Give a tool to an agent",
            description="Give a custom tool to an agent.",
            arguments=AttachTool,
            result=ToolAttached,
            run=do.attach,
            text=attached_text,
            idempotent=True,
            toolsets=DELEGATING,
            for_all=True,
        ),
        Tool(
            name="tool_detach",
            title="Take a tool from an agent",
            description="Take a custom tool from an agent; it stays.",
            arguments=AttachTool,
            result=ToolAttached,
            run=do.detach,
            text=attached_text,
            destructive=True,
            idempotent=True,
            toolsets=DELEGATING,
            for_all=True,
        ),
        Tool(
            name="tool_run",
            title="Run a custom tool",
            description="Run a custom tool in the sandbox, as an agent would.",
            arguments=RunStoredTool,
            result=ToolRan,
            run=do.run,
            text=ran_text,
            destructive=True,
            toolsets=DELEGATING,
        ),
    )
