// What the editor says, in the languages that the expressions have.
import { app } from "../../../../scripts/app.js";

const en = {
  body: "Body: drag to turn it. Shift or the wheel: lean.",
  head: "Head: drag to turn and nod. Shift or the wheel: tilt.",
  eyes: "Eyes: drag to look.",
  mouth: "Mouth: drag down to open it, sideways for the vowel.",
  preset: "Expression",
  strength: "Strength of the expression",
  kinds: { emotion: "Emotions", mouth: "Mouth", eyes: "Eyes", gaze: "Gaze", head: "Head", body: "Body" },
  mirror: "Mirror (M)",
  random: "Random pose (Space)",
  copy: "Copy the pose as JSON (Ctrl+C)",
  paste: "Paste a pose (Ctrl+V)",
  reset: "Reset (0)",
  copied: "Copied.",
  noClipboard: "The browser keeps its clipboard: click the picture and press Ctrl+C or Ctrl+V.",
  link: "Left and right together",
  inputs: "Inputs",
  near: "Head and shoulders, or all of it",
  numbers: "Show or hide the node's 45 inputs",
  noStudent: "this graph's character has no student yet",
  noRender: "no render node is connected",
  tabs: { pads: "Pads", brows: "Brows", eyes: "Eyes", mouth: "Mouth", turn: "Turn" },
  pads: {
    gaze: ["gaze", "Where the eyes look"],
    lids: ["lids", "Up opens the eyes wide, down shuts them: to the right with a smile"],
    brows: ["brows", "Up and down; to the left worried, to the right angry"],
    mouth: ["mouth", "Down opens the mouth; to the left it is narrow, to the right wide"],
  },
  edges: { wide: "wide", shut: "shut", smile: "smile", worry: "worry", anger: "anger" },
};

const ja = {
  body: "体:ドラッグで向きを変えます。Shift またはホイールで傾けます。",
  head: "頭:ドラッグで向きを変えます。Shift またはホイールでかしげます。",
  eyes: "目:ドラッグで視線を動かします。",
  mouth: "口:下へドラッグで開き、左右で母音が変わります。",
  preset: "表情",
  strength: "表情の強さ",
  kinds: { emotion: "感情", mouth: "口", eyes: "目", gaze: "視線", head: "頭", body: "体" },
  mirror: "左右反転 (M)",
  random: "ランダム (Space)",
  copy: "ポーズを JSON でコピー (Ctrl+C)",
  paste: "ポーズを貼り付け (Ctrl+V)",
  reset: "リセット (0)",
  copied: "コピーしました。",
  noClipboard: "クリップボードを使えません。画像をクリックして Ctrl+C または Ctrl+V を押してください。",
  link: "左右を連動",
  inputs: "入力",
  near: "上半身 / 全体",
  numbers: "45 個の入力を表示 / 隠す",
  noStudent: "このグラフのキャラクターにはまだ生徒モデルがありません",
  noRender: "レンダーノードが接続されていません",
  tabs: { pads: "パッド", brows: "眉", eyes: "目", mouth: "口", turn: "向き" },
  pads: {
    gaze: ["視線", "目の向き"],
    lids: ["まぶた", "上で見開き、下で閉じます。右下は笑って閉じます"],
    brows: ["眉", "上下に動きます。左は困り、右は怒り"],
    mouth: ["口", "下で開きます。左はすぼめ、右は横に広げます"],
  },
  edges: { wide: "見開き", shut: "閉じ", smile: "笑み", worry: "困り", anger: "怒り" },
};

const zh = {
  body: "身体:拖动以转向。按住 Shift 或滚轮:倾斜。",
  head: "头部:拖动以转头和点头。按住 Shift 或滚轮:歪头。",
  eyes: "眼睛:拖动以移动视线。",
  mouth: "嘴:向下拖动张开,左右改变元音。",
  preset: "表情",
  strength: "表情强度",
  kinds: { emotion: "情绪", mouth: "嘴", eyes: "眼睛", gaze: "视线", head: "头部", body: "身体" },
  mirror: "镜像 (M)",
  random: "随机姿势 (空格)",
  copy: "以 JSON 复制姿势 (Ctrl+C)",
  paste: "粘贴姿势 (Ctrl+V)",
  reset: "重置 (0)",
  copied: "已复制。",
  noClipboard: "浏览器不允许使用剪贴板:请点击图片,然后按 Ctrl+C 或 Ctrl+V。",
  link: "左右联动",
  inputs: "输入",
  near: "头肩 / 全部",
  numbers: "显示或隐藏节点的 45 个输入",
  noStudent: "此图中的角色还没有学生模型",
  noRender: "未连接渲染节点",
  tabs: { pads: "面板", brows: "眉毛", eyes: "眼睛", mouth: "嘴", turn: "转向" },
  pads: {
    gaze: ["视线", "眼睛看的方向"],
    lids: ["眼睑", "向上睁大,向下闭合;右下为笑眼"],
    brows: ["眉毛", "上下移动;左为担忧,右为生气"],
    mouth: ["嘴", "向下张开;左窄右宽"],
  },
  edges: { wide: "睁大", shut: "闭合", smile: "笑眼", worry: "担忧", anger: "生气" },
};

const ko = {
  body: "몸: 드래그하면 방향이 바뀝니다. Shift 또는 휠: 기울이기.",
  head: "머리: 드래그하면 돌리고 끄덕입니다. Shift 또는 휠: 갸웃하기.",
  eyes: "눈: 드래그하면 시선이 움직입니다.",
  mouth: "입: 아래로 드래그하면 벌어지고, 좌우로 모음이 바뀝니다.",
  preset: "표정",
  strength: "표정의 세기",
  kinds: { emotion: "감정", mouth: "입", eyes: "눈", gaze: "시선", head: "머리", body: "몸" },
  mirror: "좌우 반전 (M)",
  random: "무작위 포즈 (Space)",
  copy: "포즈를 JSON으로 복사 (Ctrl+C)",
  paste: "포즈 붙여넣기 (Ctrl+V)",
  reset: "초기화 (0)",
  copied: "복사했습니다.",
  noClipboard: "브라우저가 클립보드를 막고 있습니다. 그림을 클릭하고 Ctrl+C 또는 Ctrl+V를 누르세요.",
  link: "좌우 함께",
  inputs: "입력",
  near: "상반신 / 전체",
  numbers: "노드의 입력 45개 보기 / 숨기기",
  noStudent: "이 그래프의 캐릭터는 아직 학생 모델이 없습니다",
  noRender: "렌더 노드가 연결되지 않았습니다",
  tabs: { pads: "패드", brows: "눈썹", eyes: "눈", mouth: "입", turn: "방향" },
  pads: {
    gaze: ["시선", "눈이 보는 방향"],
    lids: ["눈꺼풀", "위는 크게 뜨고 아래는 감습니다. 오른쪽 아래는 웃는 눈"],
    brows: ["눈썹", "위아래로 움직입니다. 왼쪽은 걱정, 오른쪽은 화남"],
    mouth: ["입", "아래로 벌립니다. 왼쪽은 오므리고 오른쪽은 넓힙니다"],
  },
  edges: { wide: "크게", shut: "감기", smile: "웃음", worry: "걱정", anger: "화남" },
};

const LANGUAGES = { en, ja, zh, ko };

/** The page's language, as `en`. */
export const language = () => (app.extensionManager?.setting?.get("Comfy.Locale") ?? "en").split("-")[0];

/** The texts in the page's language, in English where there are none. */
export const words = () => LANGUAGES[language()] ?? en;
