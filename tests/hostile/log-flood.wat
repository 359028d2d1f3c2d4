;; world: classifier
;; Writes five thousand lines of a thousand bytes, and then decides as if nothing were.

  (import "turnpike:policy/log@0.1.0" "write" (func $write (param i32 i32 i32)))

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (local $left i32)
    (memory.fill (i32.const 4096) (i32.const 0x7a) (i32.const 1000))
    (local.set $left (i32.const 5000))
    (loop $again
      (call $write (i32.const 3) (i32.const 4096) (i32.const 1000))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    ;; its own name as the task, which is a label
    (i32.store (i32.const 1036) (i32.const {name_length}))
    (i32.const 1024))
