import { PartDialog, RefundDialog } from "./amount_dialog.tsx";
import { AnswerDialog, DeclineDialog } from "./answer_dialog.tsx";
import { ApprovalDialog } from "./approval_dialog.tsx";
import { AskGroupDialog } from "./ask_group_dialog.tsx";
import { useStore } from "./context.ts";
import { EditDialog } from "./edit_dialog.tsx";
import { GroupDialog } from "./group_dialog.tsx";
import { GroupRequestDialog } from "./group_request.tsx";
import { InviteDialog } from "./invite_dialog.tsx";
import { LinkDialog } from "./link_dialog.tsx";
import { MoneyDialog } from "./money_dialog.tsx";
import { PasskeyDialog } from "./passkey_dialog.tsx";
import { PaySheet } from "./pay_sheet.tsx";
import { ReceiptDialog } from "./receipt.tsx";
import { RequestDialog } from "./request_dialog.tsx";
import { SettingsDialog } from "./settings_dialog.tsx";

/** The one dialog that is open, if any. */
export function Dialogs() {
  const store = useStore();
  const { dialog } = store;
  const close = () => store.open(undefined);
  switch (dialog?.kind) {
    case "request":
      return <RequestDialog conversation={dialog.conversation} onClose={close} />;
    case "ask_group":
      return <AskGroupDialog conversation={dialog.conversation} onClose={close} />;
    case "group_request":
      return <GroupRequestDialog request={dialog.request} onClose={close} />;
    case "sheet":
      return <PaySheet key={dialog.payment} payment={dialog.payment} onClose={close} />;
    case "decline":
      return <DeclineDialog payment={dialog.payment} onClose={close} />;
    case "refund":
      return <RefundDialog payment={dialog.payment} onClose={close} />;
    case "part":
      return <PartDialog payment={dialog.payment} onClose={close} />;
    case "answer":
      return <AnswerDialog payment={dialog.payment} onClose={close} />;
    case "approval":
      return <ApprovalDialog key={dialog.payment} payment={dialog.payment} onClose={close} />;
    case "link":
      return <LinkDialog link={dialog.link} onClose={close} />;
    case "edit":
      return <EditDialog key={dialog.payment} payment={dialog.payment} onClose={close} />;
    case "receipt":
      return <ReceiptDialog payment={dialog.payment} onClose={close} />;
    case "passkey":
      return <PasskeyDialog resolve={dialog.resolve} onClose={close} />;
    case "invite":
      return <InviteDialog call={dialog.call} onClose={close} />;
    case "group":
      return <GroupDialog onClose={close} />;
    case "money":
      return <MoneyDialog {...(dialog.tab ? { tab: dialog.tab } : {})} onClose={close} />;
    case "settings":
      return <SettingsDialog onClose={close} />;
    default:
      return null;
  }
}
